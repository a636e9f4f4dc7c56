"""A stage of GRPO, step by step: sample, score, compare, update."""

import functools
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from grpo_jax import metrics as metrics_lib
from grpo_jax.advantages import make_advantages, policy_kl
from grpo_jax.config import GRPO
from grpo_jax.metrics import Metrics
from grpo_jax.optimizer import make_optimizer
from grpo_jax.parallel import AnyDevices
from grpo_jax.run.answers import Answers, answer_advantages
from grpo_jax.run.figures import answer_figures, group_figures, time_figures
from grpo_jax.run.gather import make_gather
from grpo_jax.run.learn import Looks, make_learner, make_looks, stage_step
from grpo_jax.run.levels import task_figures
from grpo_jax.run.overlap import Overlap, sampling_setting
from grpo_jax.run.samples import step_samples
from grpo_jax.run.stage import Outcome, Runner, Setting, Told, policy_of
from grpo_jax.run.trained import make_init
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
  optimizer = make_optimizer(stage.optimizer)
  make_batch = make_batch_maker(setting.devices, stage, setting.name)
  return make_policy_runner(
    setting,
    stage,
    make_looks(setting, stage, reference),
    lambda _, used, looks: make_batch(used, looks),
    make_learner(setting, stage, functools.partial(stage_step, setting)),
    make_init(setting, stage, optimizer),
    past,
  )


def make_policy_runner(
  setting: Setting,
  stage: GRPO,
  look: Callable[[TrainState, Answers], Looks],
  make_batch: Callable[[Params, Answers, Looks], Batch],
  learn: Callable[[TrainState, Batch], tuple[TrainState, Metrics]],
  init: Callable[[Params], TrainState],
  past: Iterable[Mapping[str, Any]],
  policy: Callable[[TrainState], Params] = policy_of,
) -> Runner:
  """Builds a stage that samples, scores and updates, whatever the update is.

  Args:
    setting, stage, past: as in `make_grpo_runner`.
    look: (state, answers) -> log-probs before the update.
    make_batch: (parameters, answers, log-probs) -> what the update learns from.
    learn: (state, batch) -> state and metrics.
    init: policy -> state.
    policy: state -> the policy in it.
  """
  sampling = sampling_setting(setting) if stage.staleness else setting
  gather = make_gather(sampling, stage, past)
  ahead = Overlap(sampling, stage, gather) if stage.staleness else None
  judge = setting.experiment.evaluation.reward

  def advance(state: TrainState, step: int) -> tuple[TrainState, Told]:
    started = time.monotonic()
    answers, rows = (ahead or gather)(policy(state), step)
    used = answers.rows(rows)
    looks = look(state, used)
    setting.pause("update")
    batch = setting.spoil(make_batch(state.params, used, looks))
    state, metrics = learn(state, batch)
    # The device works on: what is read from it comes last.
    figures = answer_figures(answers) | group_figures(answers, rows, gdpo=stage.shaping.gdpo)
    everyone = np.zeros(answers.scores.total.shape, np.float32)
    everyone[rows] = answer_advantages(np.asarray(batch.advantages), np.asarray(batch.rollout.mask))
    figures |= task_figures(answers, judge)
    samples = step_samples(setting, answers, everyone)
    figures |= metrics_lib.read(metrics)
    seconds = np.append(answers.seconds, time.monotonic() - started)
    figures |= time_figures(answers, used, seconds)
    if ahead:
      figures["rollout/staleness"] = float(step - ahead.policy_step(step))
    return state, lambda: [Outcome(figures, samples, batch)]

  if ahead:
    return Runner(stage.steps, init, advance, policy=policy, close=ahead.close, exact=False)
  return Runner(stage.steps, init, advance, policy=policy)


def make_batch_maker(
  devices: AnyDevices, stage: GRPO, name: str
) -> Callable[[Answers, Looks], Batch]:
  """Builds (answers, log-probs before the update) -> what the update learns from."""
  compare = devices.alone(
    lambda stage: functools.partial(make_advantages, stage=stage),
    stage,
    name=f"{name}/advantages",
  )

  def make_batch(used: Answers, looks: Looks) -> Batch:
    mask = np.asarray(used.rollout.mask)
    if stage.selection.no_signal != "keep":
      mask = mask & used.signal(gdpo=stage.shaping.gdpo)[:, None, None]
    kl = None
    if looks.ref_logprobs is not None and stage.loss.kl_place != "loss":
      kl = policy_kl(jnp.asarray(looks.old_logprobs), jnp.asarray(looks.ref_logprobs), stage)
    scores = used.scores
    advantages = compare(scores.total, scores.counted, scores.weights, mask, kl=kl)
    rollout = used.rollout.replace(mask=mask)  # type: ignore[attr-defined]
    return Batch(rollout, jnp.asarray(used.scores.total), advantages, **vars(looks))

  return make_batch
