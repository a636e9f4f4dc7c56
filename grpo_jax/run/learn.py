"""The updates of a step: what is looked at before the first, and then each in turn."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from grpo_jax import metrics as metrics_lib
from grpo_jax.config import GRPO
from grpo_jax.logprobs import answer_logprobs
from grpo_jax.metrics import Metrics
from grpo_jax.optimizer import make_optimizer, make_schedule
from grpo_jax.parallel import AnyDevices, storage
from grpo_jax.run.answers import Answers
from grpo_jax.run.stage import Setting, policy_of
from grpo_jax.run.trained import reference_in
from grpo_jax.steps import StepFn, make_grpo_step
from grpo_jax.steps.update import split
from grpo_jax.types import Batch, Params, Rollout, TrainState

# The trainer's own log-probs of one policy agree with themselves to this, in float32.
_STRICT = 1e-5


@dataclasses.dataclass(frozen=True)
class Looks:
  """Log-probs f32[P,G,T] from before the updates, and the tokens of high entropy bool[P,G,T]."""

  old_logprobs: np.ndarray | None = None
  ref_logprobs: np.ndarray | None = None
  kept: np.ndarray | None = None


def make_looks(
  setting: Setting,
  stage: GRPO,
  reference: Params | None,
  policy: Callable[[TrainState], Params] = policy_of,
) -> Callable[[TrainState, Answers], Looks]:
  """Builds (state, answers) -> Looks: a forward pass only where something needs it.

  With one update a rollout the step's own log-probs are the old ones, and no pass is paid.

  Args:
    setting, stage: the run and its stage.
    reference: what the KL compares with; None where it has none, or compares with the weights that
      adapters are added to.
    policy: state -> the policy in it.
  """
  devices, loss = setting.devices, stage.loss
  compiled = setting.program(functools.partial(stage_look, setting), stage, "look")
  frozen = None if reference is None else _kept(devices, stage, reference)

  def looks(state: TrainState, answers: Answers) -> Looks:
    rollout, old, ref, kept = devices.split(answers.rollout), None, None, None
    if stage.needs_old or loss.entropy_top < 1:
      old, entropy = jax.device_get(devices.join(compiled(policy(state), rollout)))
      if loss.entropy_top < 1:
        kept = highest(entropy, np.asarray(answers.rollout.mask), loss.entropy_top)
    if loss.kl_coefficient > 0:
      before = reference_in(state) if frozen is None else frozen()
      ref = jax.device_get(devices.join(compiled(before, rollout)))[0]
    return Looks(old if stage.needs_old else None, ref, kept)

  return looks


def stage_look(
  setting: Setting, stage: GRPO
) -> Callable[[Params, Rollout], tuple[jax.Array, jax.Array]]:
  """(parameters, answers) -> log-probs and entropy f32[P,G,T], in parts as the update has them."""
  network, parts = setting.network, stage.minibatches * stage.optimizer.micro_batches

  def look(params: Params, rollout: Rollout) -> tuple[jax.Array, jax.Array]:
    def one(part: Rollout) -> tuple[jax.Array, jax.Array]:
      return answer_logprobs(network, params, part, temperature=stage.rollout.temperature)

    looked = jax.lax.map(one, split(rollout, parts, network.place))
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), looked)

  return look


def _kept(devices: AnyDevices, stage: GRPO, reference: Params) -> Callable[[], Params]:
  """The reference as a pass needs it, kept where and as the stage says."""
  short = jax.tree.map(lambda leaf: leaf.astype(stage.reference_dtype), reference)
  if stage.reference_place == "host":
    waiting = storage.fetch(short)
    return lambda: devices.replicate(waiting)
  ready = devices.replicate(short)
  return lambda: ready


def highest(values: np.ndarray, mask: np.ndarray, share: float) -> np.ndarray:
  """bool, where `values` is among the highest `share` of the unmasked ones."""
  return mask & (values >= np.quantile(values[mask], 1 - share))


def stage_step(setting: Setting, stage: GRPO) -> StepFn:
  """The update that the stage's config describes."""
  return make_grpo_step(
    setting.network,
    stage.loss,
    make_optimizer(stage.optimizer),
    make_schedule(stage.optimizer, stage.updates),
    temperature=stage.rollout.temperature,
    length_budget=stage.rollout.own_tokens,
    micro_batches=stage.optimizer.micro_batches,
    axis_name=setting.devices.axis_name,
  )


def make_learner(
  setting: Setting, stage: GRPO, step: Callable[[Any], StepFn]
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
  """Builds (state, batch) -> state and metrics, over all the updates of a rollout.

  Args:
    setting, stage: the run and its stage.
    step: stage -> the update.

  Raises, when it is called:
    RuntimeError: in strict mode, log-probs of one policy differ from one compiled pass to another.
  """
  devices, updates = setting.devices, stage.minibatches * stage.epochs
  update = setting.program(step, stage, "update", donate=(0,))

  def learn(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    all_metrics: list[Metrics] = []
    for number in range(updates):
      # Every minibatches-th prompt, whatever the devices.
      start = number % stage.minibatches
      part = jax.tree.map(lambda leaf, start=start: leaf[start :: stage.minibatches], batch)
      state, metrics = update(state, devices.split(part))
      all_metrics.append(devices.first(metrics))
      if stage.strict and number == 0:
        _check_ratio(metrics_lib.read(all_metrics[0])["policy/log_ratio_max"])
    merged = functools.reduce(metrics_lib.merge, all_metrics)
    if updates > 1:  # how stale the answers were by the last update
      merged["policy/kl_old_last"] = all_metrics[-1]["policy/kl_old"]
    return state, merged

  return learn


def _check_ratio(largest: float) -> None:
  if largest > _STRICT:
    raise RuntimeError(
      f"strict: before the first update |log pi - log pi_old| reached {largest:.1e}, more than"
      f" {_STRICT}: log-probs of one policy differ between two passes"
      " (model.dtype='float32' is needed; else this is a bug)"
    )
