"""Answers to a batch of prompts: sampled, decoded, scored."""

import dataclasses
import time
from collections.abc import Callable, Sequence

import jax
import numpy as np

from grpo_jax.config import GRPO
from grpo_jax.rewards import (
  EPISODE,
  ArrayReward,
  Scores,
  Solutions,
  is_learned,
  is_ruled,
  resolve,
  score,
)
from grpo_jax.rollout import RolloutFn, make_rollout
from grpo_jax.run.answers import Answers
from grpo_jax.run.batches import own_texts, prompt_batch, solution_batch
from grpo_jax.run.episodes import Episodes, check_failures, make_player
from grpo_jax.run.keys import prompt_keys, seeded
from grpo_jax.run.learned import make_learned_reward
from grpo_jax.run.stage import Setting
from grpo_jax.tasks import Example
from grpo_jax.types import Params, Prompts, Rollout

# A rollout, texts as rewards read them and as people do, and what became of episodes.
_Answered = tuple[Rollout, list[list[str]], list[list[str]], Episodes | None]
_Answer = Callable[[Params, Prompts, np.ndarray, Sequence[Example]], _Answered]


def stage_rollout(setting: Setting, stage: GRPO, group_size: int | None = None) -> RolloutFn:
  """The rollout that the stage's config describes, of an episode one turn.

  group_size: another than the stage's.
  """
  sizes = {
    field.name: getattr(stage.rollout, field.name) for field in dataclasses.fields(stage.rollout)
  }
  for name in ("prompts", "turns", "observation_tokens"):
    del sizes[name]
  sizes["group_size"] = group_size or sizes["group_size"]
  return make_rollout(setting.network, stop_ids=setting.tokenizer.stop_ids, **sizes)


def solutions(setting: Setting, stage: GRPO, examples: list[Example]) -> Solutions:
  """The examples' solutions, for rewards in JAX."""
  T = stage.rollout.max_tokens
  tokens, mask = solution_batch(setting.tokenizer, examples, max_tokens=T)
  return Solutions(tokens[:, 0], mask[:, 0])  # type: ignore[arg-type]


def reads_solutions(stage: GRPO) -> bool:
  """Whether a reward of the stage is in JAX, and so given the task's solutions."""
  return any(isinstance(resolve(name), ArrayReward) for name in filter(is_ruled, stage.rewards))


def check_scores(stage: GRPO, total: np.ndarray, first: Example) -> None:
  """Stops a run whose rewards say nothing, or what its grouping cannot use.

  Raises:
    RuntimeError: no answer has a score. ValueError: a negative one where none may be.
  """
  if np.isnan(total).all():
    raise RuntimeError(
      f"rewards {', '.join(stage.rewards)} could score none of {total.size} answers"
      f" (NaN), the first to {first.question[:60]!r}: do they fit the task's answers?"
    )
  if stage.grouping.scale == "group_mean" and np.nanmin(total) < 0:
    raise ValueError(
      f"grouping.scale='group_mean' (MaxRL) divides by the mean reward, and a reward of"
      f" {np.nanmin(total):.3g} was given: it needs rewards of 0 and above"
    )


def make_sampler(setting: Setting, stage: GRPO) -> Callable[..., Answers]:
  """Builds (parameters, step, examples of all rounds, first row) -> P of them answered, scored."""
  sizes = stage.rollout
  answer, score_all = make_answer(setting, stage), _make_score(setting, stage)
  room = setting.network.architecture.context_length - sizes.total_tokens

  def sample(params: Params, step: int, examples: list[Example], first: int) -> Answers:
    setting.pause("rollout")
    times = [time.monotonic()]
    rows = slice(first, first + sizes.prompts)
    # All rounds have one S, so that their answers can be put together.
    whole = prompt_batch(setting.tokenizer, examples, room=room)
    prompts = jax.tree.map(lambda leaf: leaf[rows], whole)
    keys = prompt_keys(setting.experiment.seed, setting.index, step, len(examples))[rows]
    asked = examples[rows]
    rollout, texts, shown, episodes = answer(params, prompts, keys, asked)
    setting.pause("reward")
    times.append(time.monotonic())
    scores = score_all(step, asked, rollout, texts, episodes)
    check_scores(stage, scores.total, asked[0])
    times.append(time.monotonic())
    return Answers(asked, rollout, shown, scores, np.diff(times), episodes)

  return sample


def make_answer(setting: Setting, stage: GRPO) -> _Answer:
  """Builds (parameters, prompts, key data, examples) -> their answers, or their episodes."""
  devices = setting.devices
  compiled = setting.program(lambda s: seeded(stage_rollout(setting, s)), stage, "rollout")
  if setting.task.reset is not None:
    one = setting.program(lambda s: seeded(stage_rollout(setting, s, 1)), stage, "turn")
    play = make_player(setting, stage.rollout, stage.rollout.group_size, compiled, one)

    def played(
      params: Params, prompts: Prompts, keys: np.ndarray, examples: Sequence[Example]
    ) -> _Answered:
      found = play(params, prompts, keys, examples)
      check_failures(found.episodes, setting.experiment.scoring.max_failed)
      return found.rollout, found.texts, found.shown, found.episodes

    return played

  def answer(
    params: Params, prompts: Prompts, keys: np.ndarray, examples: Sequence[Example]
  ) -> _Answered:
    answered = compiled(params, devices.split(prompts), devices.split(keys))
    result = jax.device_get(devices.join(answered))
    texts = own_texts(setting.tokenizer, result.tokens, result.mask)
    return result, texts, texts, None

  return answer


def _make_score(setting: Setting, stage: GRPO) -> Callable[..., Scores]:
  """Builds (step, examples, rollout, texts, episodes) -> scores."""
  models = {name: make_learned_reward(setting, name) for name in stage.rewards if is_learned(name)}

  def score_all(
    step: int,
    asked: list[Example],
    rollout: Rollout,
    texts: list[list[str]],
    episodes: Episodes | None,
  ) -> Scores:
    scores = score(
      stage.rewards,
      [example.question for example in asked],
      texts,
      [example.fields for example in asked],
      step=step,
      arrays=(rollout, solutions(setting, stage, asked) if reads_solutions(stage) else None),
      models=models,
      given={} if episodes is None else {EPISODE: episodes.rewards},
      workers=setting.workers,
      max_failed=setting.experiment.scoring.max_failed,
      pause=lambda: setting.pause("scoring"),
      own=[example.reward or setting.task.reward for example in asked],
    )
    if episodes is None:
      return scores
    own = episodes.failures()
    failures = {kind: count + own[kind] for kind, count in scores.failures.items()}
    return dataclasses.replace(scores, failures=failures)

  return score_all
