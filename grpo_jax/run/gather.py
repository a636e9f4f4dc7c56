"""The answers of a step: which prompts are asked, sampled, scored, and kept for the update."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax.config import GRPO
from grpo_jax.grouping import has_signal
from grpo_jax.rewards import Scores, score
from grpo_jax.rollout import make_rollout
from grpo_jax.run.batches import answer_texts, prompt_batch
from grpo_jax.run.keys import prompt_keys, seeded
from grpo_jax.run.stage import Setting
from grpo_jax.tasks import Example
from grpo_jax.types import Params, Rollout


@dataclasses.dataclass(frozen=True)
class Answers:
  """Groups of answers to P prompts, scored.

  rollout: NumPy arrays. seconds: f64[2], what sampling and scoring took.
  """

  examples: list[Example]
  rollout: Rollout
  texts: list[list[str]]
  scores: Scores
  seconds: np.ndarray

  def rows(self, rows: np.ndarray) -> "Answers":
    """These prompts only."""
    parts = {name: part[rows] for name, part in self.scores.parts.items()}
    return Answers(
      [self.examples[row] for row in rows],
      jax.tree.map(lambda leaf: leaf[rows], self.rollout),
      [self.texts[row] for row in rows],
      dataclasses.replace(self.scores, total=self.scores.total[rows], parts=parts),
      self.seconds,
    )

  def signal(self) -> np.ndarray:
    """bool[P]: whether the rewards of the group differ."""
    scored = ~np.isnan(self.scores.total)
    total = jnp.asarray(np.where(scored, self.scores.total, 0))
    return np.asarray(has_signal(total, jnp.asarray(scored)))


def make_gather(
  setting: Setting, stage: GRPO, past: Iterable[Mapping[str, Any]] = ()
) -> Callable[[Params, int], tuple[Answers, np.ndarray]]:
  """Builds (parameters, step) -> all answers of the step, and the P rows that the update gets.

  Args:
    setting, stage: the run and its stage.
    past: records of samples.jsonl of this stage's earlier steps, for selection.retire_at.
  """
  sample, P = _make_sampler(setting, stage), stage.rollout.prompts
  rounds = stage.selection.rounds if stage.selection.no_signal == "refill" else 1
  solved = _Solved(stage.selection.retire_at, past)

  def gather(params: Params, step: int) -> tuple[Answers, np.ndarray]:
    examples = solved.choose(setting, step, P * rounds)
    answers: Answers | None = None
    for first in range(0, P * rounds, P):
      more = sample(params, step, examples, first)
      answers = more if answers is None else joined(answers, more)
      if answers.signal().sum() >= P:
        break
    assert answers is not None
    solved.note(answers)
    # Those with signal first, each kind in the order in which it was sampled.
    return answers, np.argsort(~answers.signal(), kind="stable")[:P] if rounds > 1 else np.arange(P)

  return gather


def joined(left: Answers, right: Answers) -> Answers:
  """The prompts of both."""
  parts = {
    name: np.concatenate([part, right.scores.parts[name]])
    for name, part in left.scores.parts.items()
  }
  total = np.concatenate([left.scores.total, right.scores.total])
  return Answers(
    left.examples + right.examples,
    jax.tree.map(lambda a, b: np.concatenate([a, b]), left.rollout, right.rollout),
    left.texts + right.texts,
    Scores(total, parts, left.scores.errors + right.scores.errors),
    left.seconds + right.seconds,
  )


class _Solved:
  """Mean reward of every question so far; the questions themselves are the keys."""

  def __init__(self, retire_at: float, past: Iterable[Mapping[str, Any]]):
    self._retire_at = retire_at
    self._sums: dict[str, tuple[float, int]] = {}
    for record in past if retire_at else ():
      self._add(record["prompt"], record["rewards"])

  def choose(self, setting: Setting, step: int, count: int) -> list[Example]:
    """`count` examples of the step, none of them retired while there are others."""
    seed, drawn = setting.experiment.seed, count * (2 if self._retire_at else 1)
    examples = setting.task.sample(seed, setting.steps_before + step, drawn)
    return sorted(examples, key=lambda example: self._retired(_question(example)))[:count]

  def note(self, answers: Answers) -> None:
    """Counts the rewards of a step."""
    if self._retire_at:
      for example, rewards in zip(answers.examples, answers.scores.total, strict=True):
        self._add(_question(example), rewards.tolist())

  def _add(self, question: str, rewards: list[float | None]) -> None:
    known = [reward for reward in rewards if reward is not None and reward == reward]
    total, count = self._sums.get(question, (0.0, 0))
    self._sums[question] = (total + sum(known), count + len(known))

  def _retired(self, question: str) -> bool:
    total, count = self._sums.get(question, (0.0, 0))
    return count > 0 and total >= self._retire_at * count


def _question(example: Example) -> str:
  return str(example.messages[-1]["content"])


def _make_sampler(setting: Setting, stage: GRPO) -> Callable[..., Answers]:
  """Builds (parameters, step, examples of all rounds, first row) -> P of them answered, scored."""
  sizes, devices = stage.rollout, setting.devices
  rollout = make_rollout(
    setting.network,
    group_size=sizes.group_size,
    max_tokens=sizes.max_tokens,
    stop_ids=setting.tokenizer.stop_ids,
    temperature=sizes.temperature,
    top_k=sizes.top_k,
    top_p=sizes.top_p,
    min_p=sizes.min_p,
  )
  compiled = devices.compile(seeded(rollout))
  room = setting.network.architecture.context_length - sizes.max_tokens

  def sample(params: Params, step: int, examples: list[Example], first: int) -> Answers:
    times = [time.monotonic()]
    rows = slice(first, first + sizes.prompts)
    # All rounds have one S, so that their answers can be put together.
    whole = prompt_batch(setting.tokenizer, examples, room=room)
    prompts = jax.tree.map(lambda leaf: leaf[rows], whole)
    keys = prompt_keys(setting.experiment.seed, setting.index, step, len(examples))[rows]
    answered = compiled(params, devices.split(prompts), devices.split(keys))
    result = jax.device_get(devices.join(answered))
    times.append(time.monotonic())
    texts = answer_texts(setting.tokenizer, result.tokens, result.mask)
    asked = examples[rows]
    scores = score(
      stage.rewards, [_question(e) for e in asked], texts, [example.fields for example in asked]
    )
    if np.isnan(scores.total).all():
      raise RuntimeError(
        f"rewards {', '.join(stage.rewards)} could score none of {scores.total.size} answers"
        f" (NaN), the first to {_question(asked[0])[:60]!r}: do they fit the task's answers?"
      )
    times.append(time.monotonic())
    return Answers(asked, result, texts, scores, np.diff(times))

  return sample
