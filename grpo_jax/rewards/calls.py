"""Calls of a reward in Python for every answer of a batch, whatever it does."""

import collections
import concurrent.futures
import logging
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from grpo_jax.isolated.files import is_file
from grpo_jax.isolated.number import InvalidScoreError, as_score
from grpo_jax.isolated.pool import Workers
from grpo_jax.isolated.worker import Answer
from grpo_jax.parallel import processes
from grpo_jax.rewards.isolated import Isolated
from grpo_jax.rewards.resolve import resolve
from grpo_jax.rewards.verifiers import Reward

# How a call can fail: it raised, returned no number, took too long, or ended its process.
_POLL_S = 0.2
_WAITING = ("unit_tests",)  # rewards that wait for processes of their own
KINDS = ("error", "invalid", "timeout", "crash")
_LOG = logging.getLogger(__name__)
_SHOWN: set[tuple[str, str]] = set()


def call_reward(
  name: str,
  own: Sequence[str],
  prompts: Sequence[str],
  completions: Sequence[Sequence[str]],
  fields: Sequence[Mapping[str, Any]],
  *,
  workers: Workers | None,
  max_failed: float,
  pause: Callable[[], None],
) -> tuple[np.ndarray, dict[str, int]]:
  """Scores f32[P,G] of one reward, NaN where it failed, and how often it did, by kind.

  Args: as of `score.score`; own: the reward that is called for each prompt, P names.

  Raises:
    RuntimeError: as of `score.score`.
  """
  last = ""

  def scored(rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """Scores of these prompts' answers, and 1 + the kind of failure, 0 where there is none."""
    nonlocal last
    groups = completions[rows]
    asked = [
      (prompts[at], text, dict(fields[at]))  # a copy: what a reward does must not reach the task
      for at, group in enumerate(groups, start=rows.start)
      for text in group
    ]
    names = [own[at] for at, group in enumerate(groups, start=rows.start) for _ in group]
    answers = _by_name(names, asked, workers, pause)
    for (kind, said), (_, text, _) in zip(answers, asked, strict=True):
      if kind in KINDS:
        last = str(said)
        _log_once(name, kind, text, last)
    shape = len(groups), len(completions[0])
    values = [said if kind == "scored" else np.nan for kind, said in answers]
    failed = [1 + KINDS.index(kind) if kind in KINDS else 0 for kind, _ in answers]
    return np.array(values, np.float32).reshape(shape), np.array(failed, np.int8).reshape(shape)

  values, failed = processes.shared(scored, len(completions))
  counts = collections.Counter(failed[failed > 0].tolist())
  found = {kind: counts[1 + number] for number, kind in enumerate(KINDS)}
  _check(name, found, failed.size, max_failed, last)
  return values, found


def _by_name(
  names: Sequence[str],
  asked: Sequence[tuple],
  workers: Workers | None,
  pause: Callable[[], None],
) -> list[Answer]:
  """What became of each call, of the reward of its name."""
  found: dict[int, Answer] = {}
  for name in dict.fromkeys(names):
    places = [place for place, own in enumerate(names) if own == name]
    calls = [asked[place] for place in places]
    reward: Any = resolve(name)
    found |= dict(zip(places, _answers(name, reward, calls, workers, pause), strict=True))
  return [found[place] for place in range(len(names))]


def _answers(
  name: str,
  reward: Reward,
  asked: Sequence[tuple],
  workers: Workers | None,
  pause: Callable[[], None],
) -> list[Answer]:
  if isinstance(reward, Isolated):
    if workers is None:
      raise reward.refusal()
    return workers.map(reward.path, reward.function, asked, pause)
  path, _, function = name.rpartition(":")
  if is_file(path) and workers is not None:
    return workers.map(path, function, asked, pause)
  if name in _WAITING:
    return _side_by_side(reward, asked, pause)
  answers = []
  for own in asked:
    pause()
    answers.append(_call(reward, *own))
  return answers


def _side_by_side(
  reward: Reward, asked: Sequence[tuple], pause: Callable[[], None]
) -> list[Answer]:
  """Calls that wait for a process of their own, one for each core."""
  pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
  try:
    futures = [pool.submit(_call, reward, *own) for own in asked]
    for future in futures:
      while not future.done():
        pause()
        concurrent.futures.wait([future], timeout=_POLL_S)
    return [future.result() for future in futures]
  finally:
    pool.shutdown(cancel_futures=True)


def _call(reward: Reward, *arguments: Any) -> Answer:
  """As `worker.call`, in this process."""
  try:
    return "scored", as_score(reward(*arguments))
  except InvalidScoreError as error:
    return "invalid", str(error)
  except (Exception, SystemExit):  # sys.exit() would end the run as if all were well
    return "error", traceback.format_exc()


def _check(name: str, found: dict[str, int], size: int, max_failed: float, last: str) -> None:
  total = sum(found.values())
  if total <= max_failed * size and total < size:
    return
  kinds = ", ".join(f"{count} {kind}" for kind, count in found.items() if count)
  said = _short(last) if last else "see the log of another process"
  if total == size:
    raise RuntimeError(f"reward {name!r} failed on all {size} answers ({kinds}): {said}")
  raise RuntimeError(
    f"reward {name!r} failed on {total} of {size} answers ({kinds}), more than"
    f" scoring.max_failed={max_failed:g}, the last: {said}"
  )


def _short(text: str) -> str:
  """The line of a traceback that says what was raised, or a text as it is, in one line."""
  end = text.rstrip().rpartition("\n  ")[2].partition("\n")[2] if "Traceback" in text else text
  return " ".join((end or text).split())[:200]


def _log_once(name: str, kind: str, text: str, said: str) -> None:
  if (name, kind) not in _SHOWN:
    _SHOWN.add((name, kind))
    _LOG.error(
      "reward %r failed (%s), first on %r; such answers are left out\n%s",
      *(name, kind, text[:60], said.rstrip()),
    )
