"""A program that makes reasoning-gym's questions, beside the run.

Some of its generators go through sets, whose order is another in every process, or draw from
Python's own generator: here both are fixed. Requests and replies are pickles, on stdin and stdout.
"""

import contextlib
import dataclasses
import os
import pickle
import random
import sys
from typing import Any

import numpy as np
import reasoning_gym
from reasoning_gym import factory


def names() -> list[str]:
  """All tasks."""
  return sorted(factory.DATASETS)


def fields(name: str) -> list[str]:
  """The fields of a task's config."""
  return [field.name for field in dataclasses.fields(factory.DATASETS[name][1])]


def refusal(name: str, own: dict[str, Any]) -> str:
  """What is wrong with a task's fields; empty where they can be used."""
  try:
    reasoning_gym.create_dataset(name, seed=0, size=1, **own)
  except Exception as error:  # assertions, and whatever a wrong type leads to
    return " ".join((str(error) or type(error).__name__).split())[:200]
  return ""


def levels(name: str, own: dict[str, Any]) -> list[dict[str, Any]]:
  """The fields of each level of reasoning-gym's own curriculum; none where it has none."""
  if not factory.has_curriculum(name):
    return []
  course = factory.create_curriculum(name)
  found = []
  for level in range(max(len(attribute.levels) for attribute in course.attributes.values())):
    course.set_global_level(level)
    made = course.generate_configuration(dict(own))
    found.append({f: getattr(made, f) for f in fields(name) if f not in ("seed", "size")})
  return found


def entries(
  name: str, own: dict[str, Any], seed: int, start: int, stop: int
) -> list[tuple[str, str, bytes]]:
  """Question, answer and entry of draws start to stop - 1; where the generator gives up, none.

  The entry is a pickle, for the scorer alone: it may hold what only reasoning-gym can read.
  """
  _seed(seed)
  data = reasoning_gym.create_dataset(name, seed=seed, size=stop, **own)
  found = []
  for index in range(start, stop):
    _seed(seed + index)
    with contextlib.suppress(ValueError, ZeroDivisionError, RuntimeError):
      entry = data[index]
      answer = "" if entry["answer"] is None else str(entry["answer"])
      found.append((str(entry["question"]), answer, pickle.dumps(entry)))
  return found


def _seed(seed: int) -> None:
  random.seed(seed)
  np.random.seed(seed % 2**32)


def main() -> None:
  """Answers requests until the pipe is closed, as it is when the run ends."""
  requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
  os.dup2(2, 1)  # what is printed is no reply
  known = {own.__name__: own for own in (names, fields, refusal, levels, entries)}
  while True:
    try:
      function, arguments = pickle.load(requests)
    except EOFError:
      return
    try:
      reply = True, known[function](*arguments)
    except Exception as error:  # told by the run
      reply = False, " ".join(f"{type(error).__name__}: {error}".split())[:300]
    pickle.dump(reply, replies)
    replies.flush()


if __name__ == "__main__":
  main()
