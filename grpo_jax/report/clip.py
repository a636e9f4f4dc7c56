"""A record of samples.jsonl as a page has it: known fields, of known types, not too long."""

import json
from typing import Any

LONGEST = 4000  # characters of a text
_TOKENS = 1500  # tokens of an answer that are shown one by one
_NUMBERS = ("rewards", "advantages", "lengths", "finished")


def clipped(record: dict[str, Any]) -> tuple[dict[str, Any], bool]:
  """The record, and whether something was cut. Fields that are no lists of G are left out.

  Raises:
    KeyError, TypeError: it has no prompt or no answers.
  """
  answers = [str(text) for text in record["completions"]]
  G, long = len(answers), [len(str(record["prompt"])) > LONGEST]
  names = ("stage", "step", "task", "level")
  found: dict[str, Any] = {name: record[name] for name in names if name in record}
  found |= {"prompt": str(record["prompt"])[:LONGEST], "answer": _plain(record.get("answer"))}
  long += [len(text) > LONGEST for text in answers]
  found["completions"] = [text[:LONGEST] for text in answers]
  found |= {name: record[name] for name in _NUMBERS if _is_list(record.get(name), G)}
  parts = record.get("parts")
  if isinstance(parts, dict):
    found["parts"] = {name: own for name, own in parts.items() if _is_list(own, G)}
  tokens, logprobs = record.get("tokens") or [], record.get("logprobs") or []
  if _is_list(tokens, G) and _is_list(logprobs, G):
    cut = [_tokens(*pair) for pair in zip(tokens, logprobs, strict=True)]
    found["tokens"], found["logprobs"] = ([pair[at] for pair in cut] for at in (0, 1))
    long += [len(one) < len(whole) for (one, _), whole in zip(cut, tokens, strict=True)]
  return found, any(long)


def _is_list(value: Any, size: int) -> bool:
  return isinstance(value, list) and len(value) == size


def _plain(answer: Any) -> str | None:
  if answer is None:
    return None
  text = answer if isinstance(answer, str) else json.dumps(answer)
  return text[:LONGEST]


def _tokens(texts: list[str], logprobs: list[float | None]) -> tuple[list[str], list[float | None]]:
  """As many as there is room for."""
  room, count = LONGEST, 0
  for text, _ in zip(texts[:_TOKENS], logprobs, strict=False):
    if (room := room - len(text)) < 0:
      break
    count += 1
  return texts[:count], logprobs[:count]
