"""A stage of GRPO, step by step: sample, score, compare, update."""

import functools
import time
from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from grpo_jax import metrics as metrics_lib
from grpo_jax.advantages import make_advantages, policy_kl
from grpo_jax.config import GRPO
from grpo_jax.optimizer import make_optimizer
from grpo_jax.run.figures import answer_figures, group_figures, sample_records, time_figures
from grpo_jax.run.gather import Answers, make_gather
from grpo_jax.run.learn import Looks, make_learner, make_looks
from grpo_jax.run.stage import Outcome, Runner, Setting
from grpo_jax.steps.update import init_state
from grpo_jax.types import Batch, Params, TrainState


def make_grpo_runner(
  setting: Setting,
  stage: GRPO,
  reference: Params | None,
  past: Iterable[Mapping[str, Any]] = (),
) -> Runner:
  """Builds the stage.

  Args:
    setting, stage: the run and its stage.
    reference: the policy that the KL compares with, if there is one.
    past: records of samples.jsonl of the stage's earlier steps, where the run is resumed.
  """
  devices, optimizer = setting.devices, make_optimizer(stage.optimizer)
  gather = make_gather(setting, stage, past)
  look = make_looks(setting, stage, reference)
  learn = make_learner(setting, stage, optimizer)

  def advance(state: TrainState, step: int) -> Outcome:
    started = time.monotonic()
    answers, rows = gather(state.params, step)
    used = answers.rows(rows)
    looks = look(state.params, used)
    batch, advantages = _batch(stage, used, looks)
    state, metrics = learn(state, devices.split(batch))
    figures = metrics_lib.read(devices.first(metrics)) | answer_figures(answers)
    seconds = np.append(answers.seconds, time.monotonic() - started)
    figures |= group_figures(answers, rows) | time_figures(answers, used, seconds)
    everyone = np.zeros(answers.scores.total.shape, np.float32)
    everyone[rows] = advantages
    return Outcome(state, figures, sample_records(answers, everyone))

  return Runner(stage.steps, functools.partial(init_state, optimizer=optimizer), advance)


def _batch(stage: GRPO, used: Answers, looks: Looks) -> tuple[Batch, np.ndarray]:
  """What the update learns from, and each answer's advantage (the mean over its tokens)."""
  mask = np.asarray(used.rollout.mask)
  if stage.selection.no_signal != "keep":
    mask = mask & used.signal()[:, None, None]
  kl = None
  if looks.ref_logprobs is not None and stage.loss.kl_place != "loss":
    kl = policy_kl(jnp.asarray(looks.old_logprobs), jnp.asarray(looks.ref_logprobs), stage)
  if stage.grouping.scale == "group_mean" and np.nanmin(used.scores.total) < 0:
    raise ValueError(
      f"grouping.scale='group_mean' (MaxRL) divides by the mean reward, and a reward of"
      f" {np.nanmin(used.scores.total):.3g} was given: it needs rewards of 0 and above"
    )
  names = list(stage.rewards)
  advantages = make_advantages(
    jnp.asarray(used.scores.total),
    jnp.stack([used.scores.parts[name] for name in names]),
    jnp.asarray([stage.rewards[name] for name in names], jnp.float32),
    jnp.asarray(mask),
    stage,
    kl=kl,
  )
  rollout = used.rollout.replace(mask=mask)  # type: ignore[attr-defined]
  batch = Batch(rollout, jnp.asarray(used.scores.total), advantages, **vars(looks))
  each = np.asarray(advantages)
  if each.ndim == 3:
    each = (each * mask).sum(-1) / np.maximum(mask.sum(-1), 1)
  return batch, each
