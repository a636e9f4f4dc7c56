"""Answers as samples.jsonl has them, with their tokens and what each was sampled at."""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from grpo_jax.run.answers import Answers
from grpo_jax.run.levels import task_records
from grpo_jax.run.stage import Setting
from grpo_jax.types import Rollout
from grpo_jax.weights.tokenizer import Tokenizer

Decode = Callable[[tuple[int, ...]], str]
_HALF = "\N{REPLACEMENT CHARACTER}"  # what a part of a character is decoded to
# Tokens that one character can be spread over: the bytes of UTF-8.
_SPREAD = 4
_DECIMALS = 3


def step_samples(
  setting: Setting, answers: Answers, advantages: np.ndarray
) -> list[dict[str, Any]]:
  """The records of a step, as the experiment asks for them; arguments as of `sample_records`."""
  experiment = setting.experiment
  more = task_records(answers, experiment.evaluation.reward)
  count = experiment.samples.token_prompts
  tokens = token_records(setting.tokenizer, answers.rollout, count)
  return sample_records(answers, advantages, more, tokens)


def sample_records(
  answers: Answers,
  advantages: np.ndarray,
  more: Sequence[Mapping[str, Any]] = (),
  tokens: Sequence[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
  """One record a prompt: the question, and its answers with all that is known of each.

  prompt and answer are texts. Lists of G: completions, rewards, advantages, lengths (tokens that
  the model wrote, the stop token included), finished; of several rewards also parts, by name.

  Args:
    answers: of P prompts.
    advantages: f32[P,G].
    more: what stands first in each record; empty for nothing.
    tokens: what stands last in the first records, see `token_records`.
  """
  lengths = np.asarray(answers.rollout.mask).sum(-1).tolist()
  finished = np.asarray(answers.rollout.finished).tolist()
  records = []
  for row, example in enumerate(answers.examples):
    record = dict(more[row]) if more else {}
    record |= {
      "prompt": example.question,
      "answer": example.fields.get("answer"),
      "completions": answers.texts[row],
      "rewards": answers.scores.total[row].tolist(),
    }
    if len(answers.scores.parts) > 1:
      record["parts"] = {name: part[row].tolist() for name, part in answers.scores.parts.items()}
    record |= {
      "advantages": advantages[row].tolist(),
      "lengths": lengths[row],
      "finished": finished[row],
    }
    records.append(record | (dict(tokens[row]) if row < len(tokens) else {}))
  return records


def token_records(tokenizer: Tokenizer, rollout: Rollout, count: int) -> list[dict[str, Any]]:
  """Of the first `count` prompts: tokens and logprobs, a list for each answer.

  tokens are texts that together are the answer; a stop token is "". What an environment has said
  between the model's turns is one text, whose log-prob is null.
  """
  decode = functools.cache(lambda ids: tokenizer.decode(ids))  # groups repeat themselves
  records = []
  for row in range(min(count, len(rollout.tokens))):
    parts = (np.asarray(leaf[row]) for leaf in (rollout.tokens, rollout.mask, rollout.logprobs))
    found = [_answer(decode, *answer) for answer in zip(*parts, strict=True)]
    records.append({"tokens": [one for one, _ in found], "logprobs": [one for _, one in found]})
  return records


def _answer(
  decode: Decode, ids: np.ndarray, mask: np.ndarray, logprobs: np.ndarray
) -> tuple[list[str], list[float | None]]:
  """Of one answer: i32[T], bool[T] and f32[T] -> texts and log-probs, up to its last token."""
  end = int(np.max(np.nonzero(mask)[0], initial=-1)) + 1
  # Where the model falls silent, and where it speaks again.
  cuts = [0, *(np.nonzero(np.diff(mask[:end]))[0] + 1).tolist(), end]
  texts: list[str] = []
  values: list[float | None] = []
  for start, stop in itertools.pairwise(cuts):
    if start == stop:
      continue
    own = tuple(ids[start:stop].tolist())
    if mask[start]:
      texts += pieces(decode, own)
      values += [round(float(value), _DECIMALS) + 0.0 for value in logprobs[start:stop]]
    else:
      texts.append(decode(own))
      values.append(None)
  return texts, values


def pieces(decode: Decode, ids: tuple[int, ...]) -> list[str]:
  """The text that each id adds to those before it.

  A character of several tokens is the last one's. Each is decoded behind the few before it, on
  which spaces and halves of characters depend, and never behind all: that would be slow.
  """
  found: list[str] = []
  start = read = 0  # ids[start:read] are told already, and decoded again for what follows
  for end in range(1, len(ids) + 1):
    before, now = (decode(ids[start:stop]) for stop in (read, end))
    if now.endswith(_HALF) and end < len(ids) and end - read < _SPREAD:
      found.append("")
      continue
    found.append(now[len(before) :])
    start, read = read, end
  return found
