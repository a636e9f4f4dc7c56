"""Answers to a batch of prompts: sampled, decoded, scored."""

import dataclasses
import time
from collections.abc import Callable

import jax
import numpy as np

from grpo_jax.config import GRPO
from grpo_jax.rewards import ArrayReward, Solutions, is_learned, resolve, score
from grpo_jax.rollout import RolloutFn, make_rollout
from grpo_jax.run.answers import Answers
from grpo_jax.run.batches import own_texts, prompt_batch, solution_batch
from grpo_jax.run.keys import prompt_keys, seeded
from grpo_jax.run.learned import make_learned_reward
from grpo_jax.run.stage import Setting
from grpo_jax.tasks import Example
from grpo_jax.types import Params


def stage_rollout(setting: Setting, stage: GRPO) -> RolloutFn:
  """The rollout that the stage's config describes."""
  sizes = {
    field.name: getattr(stage.rollout, field.name) for field in dataclasses.fields(stage.rollout)
  }
  del sizes["prompts"]
  return make_rollout(setting.network, stop_ids=setting.tokenizer.stop_ids, **sizes)


def solutions(setting: Setting, stage: GRPO, examples: list[Example]) -> Solutions:
  """The examples' solutions, for rewards in JAX."""
  T = stage.rollout.max_tokens
  tokens, mask = solution_batch(setting.tokenizer, examples, max_tokens=T)
  return Solutions(tokens[:, 0], mask[:, 0])  # type: ignore[arg-type]


def reads_solutions(stage: GRPO) -> bool:
  """Whether a reward of the stage is in JAX, and so given the task's solutions."""
  ruled = (name for name in stage.rewards if not is_learned(name))
  return any(isinstance(resolve(name), ArrayReward) for name in ruled)


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
  sizes, devices = stage.rollout, setting.devices
  compiled = setting.program(lambda s: seeded(stage_rollout(setting, s)), stage, "rollout")
  room = setting.network.architecture.context_length - sizes.max_tokens
  models = {name: make_learned_reward(setting, name) for name in stage.rewards if is_learned(name)}

  def sample(params: Params, step: int, examples: list[Example], first: int) -> Answers:
    setting.pause("rollout")
    times = [time.monotonic()]
    rows = slice(first, first + sizes.prompts)
    # All rounds have one S, so that their answers can be put together.
    whole = prompt_batch(setting.tokenizer, examples, room=room)
    prompts = jax.tree.map(lambda leaf: leaf[rows], whole)
    keys = prompt_keys(setting.experiment.seed, setting.index, step, len(examples))[rows]
    answered = compiled(params, devices.split(prompts), devices.split(keys))
    result = jax.device_get(devices.join(answered))
    setting.pause("reward")
    times.append(time.monotonic())
    texts = own_texts(setting.tokenizer, result.tokens, result.mask)
    asked = examples[rows]
    arrays = (result, solutions(setting, stage, asked) if reads_solutions(stage) else None)
    fields = [example.fields for example in asked]
    questions = [example.question for example in asked]
    scores = score(
      *(stage.rewards, questions, texts, fields),
      step=step,
      arrays=arrays,
      models=models,
      workers=setting.workers,
      max_failed=setting.experiment.scoring.max_failed,
      pause=lambda: setting.pause("scoring"),
      own=[example.reward or setting.task.reward for example in asked],
    )
    check_scores(stage, scores.total, asked[0])
    times.append(time.monotonic())
    return Answers(asked, result, texts, scores, np.diff(times))

  return sample
