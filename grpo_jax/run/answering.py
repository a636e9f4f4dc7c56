"""Answers to a list of problems, a part of them at a time, and what they are worth."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from grpo_jax.config import GRPO, Rollout
from grpo_jax.rewards import EPISODE, score
from grpo_jax.run.batches import prompt_batch
from grpo_jax.run.keys import prompt_keys
from grpo_jax.run.sampler import make_answer
from grpo_jax.run.stage import Setting
from grpo_jax.tasks import Example
from grpo_jax.types import Params, Prompts


@dataclasses.dataclass(frozen=True)
class Answered:
  """n answers to each of N problems.

  texts: N lists of n. scores: f32[N,n], NaN where the reward could not score. lengths: i64[N,n],
  tokens that the model wrote. finished: bool[N,n], false where its budget cut the answer.
  """

  texts: list[list[str]]
  scores: np.ndarray
  lengths: np.ndarray
  finished: np.ndarray

  @property
  def right(self) -> np.ndarray:
    """bool[N,n]: full marks."""
    return np.nan_to_num(self.scores) >= 1


def answer_all(
  setting: Setting,
  sizes: Rollout,
  params: Params,
  examples: Sequence[Example],
  *,
  seed: int,
  rows: int,
  say: Callable[[str], None],
) -> Answered:
  """Samples sizes.group_size answers to each example, and scores them by evaluation.reward.

  Answer g to problem p is drawn with a key of seed, p and g: other problems, and how many answers
  are written at a time, change nothing of it, as long as `rows` holds all answers to one problem.

  Args:
    setting: the run, with the task that is asked.
    sizes: lengths of answers, filters, and how many answers.
    params: the policy, as the devices keep it.
    examples: N problems.
    seed: of the draws. rows: answers that are written at a time, about.
    say: is told how far it is.
  """
  n, group = sizes.group_size, min(sizes.group_size, rows)
  stage = GRPO(rollout=dataclasses.replace(sizes, group_size=group))
  answer = make_answer(setting, stage)
  room = setting.network.architecture.context_length - sizes.total_tokens
  prompts = prompt_batch(setting.tokenizer, examples, room=room)
  P, N = _problems(rows // group, setting.devices.count, len(examples)), len(examples)
  parts: list[list[tuple]] = []
  for part in _parts(N, P):
    own = [examples[row] for row in part]
    asked = Prompts(prompts.tokens[part], prompts.mask[part])
    found = []
    for chunk in range(-(-n // group)):
      keys = prompt_keys(seed, 0, chunk, N)[part]
      rollout, texts, _, episodes = answer(params, asked, keys, own)
      given = np.zeros((P, group)) if episodes is None else episodes.rewards
      mask = np.asarray(rollout.mask)
      found.append((texts, given, mask.sum(axis=-1), np.asarray(rollout.finished)))
    parts.append(found)
    say(f"{min(len(parts) * P, N)} of {N} problems, {n} answers each")
  texts = [
    [text for chunk in found for text in chunk[0][row]][:n] for found in parts for row in range(P)
  ][:N]
  given, lengths, finished = (
    np.concatenate([np.concatenate([chunk[at] for chunk in found], axis=1) for found in parts])
    for at in (1, 2, 3)
  )
  scores = _scores(setting, examples, texts, given[:N, :n])
  return Answered(texts, scores, lengths[:N, :n], finished[:N, :n])


def _problems(wanted: int, devices: int, problems: int) -> int:
  """How many are asked at a time: a multiple of the devices, and no more than there are."""
  return -(-max(min(wanted, problems), 1) // devices) * devices


def _parts(N: int, P: int) -> Iterator[np.ndarray]:
  """Rows of the problems, P at a time; the last is repeated to fill its part."""
  for start in range(0, N, P):
    yield np.minimum(np.arange(start, start + P), N - 1)


def _scores(
  setting: Setting, examples: Sequence[Example], texts: list[list[str]], given: np.ndarray
) -> np.ndarray:
  """f32[N,n] of evaluation.reward.

  Raises:
    RuntimeError: no answer can be scored.
  """
  name = setting.experiment.evaluation.reward
  scores = score(
    {name: 1.0},
    [example.question for example in examples],
    texts,
    [example.fields for example in examples],
    given={EPISODE: given},
    workers=setting.workers,
    own=[example.reward or setting.task.reward for example in examples],
  ).total
  if np.isnan(scores).all():
    raise RuntimeError(
      f"the reward {name!r} could score none of {scores.size} answers (NaN), the first to"
      f" {examples[0].question[:60]!r}: does it fit the task? --reward names another"
    )
  return scores
