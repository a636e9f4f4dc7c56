"""A stage of GRPO, step by step: sample, score, compare, update."""

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax import metrics as metrics_lib
from grpo_jax.config import GRPO
from grpo_jax.config import Rollout as RolloutConfig
from grpo_jax.grouping import group_advantages
from grpo_jax.logprobs import answer_logprobs
from grpo_jax.metrics import Metrics
from grpo_jax.optimizer import make_optimizer, make_schedule
from grpo_jax.parallel import check_divisible
from grpo_jax.rewards import Scores, score
from grpo_jax.rollout import make_rollout
from grpo_jax.run.batches import answer_texts, prompt_batch
from grpo_jax.run.figures import rollout_figures, sample_records
from grpo_jax.run.keys import prompt_keys, seeded
from grpo_jax.run.stage import Outcome, Runner, Setting
from grpo_jax.steps import make_grpo_step
from grpo_jax.steps.update import init_state
from grpo_jax.tasks import Example
from grpo_jax.types import Batch, Params, Rollout, TrainState


def make_grpo_runner(setting: Setting, stage: GRPO, reference: Params | None) -> Runner:
  """Builds the stage. reference: the policy that the KL term compares with, if there is one."""
  devices, optimizer = setting.devices, make_optimizer(stage.optimizer)
  sample = _make_sampler(setting, stage)
  learn = _make_learner(setting, stage, optimizer, reference)

  def advance(state: TrainState, step: int) -> Outcome:
    times = [time.monotonic()]
    examples, rollout = sample(state.params, step)
    times.append(time.monotonic())
    whole = jax.device_get(devices.join(rollout))
    texts, scores = _scored(setting, stage, examples, whole)
    lengths = whole.mask.sum(axis=-1)
    advantages = group_advantages(jnp.asarray(scores.total), **stage.grouping, lengths=lengths)
    times.append(time.monotonic())
    state, metrics = learn(state, rollout, scores.total, advantages)
    figures = metrics_lib.read(devices.first(metrics))
    times.append(time.monotonic())
    figures |= rollout_figures(whole, scores, np.asarray(advantages)) | _times(times, lengths)
    return Outcome(state, figures, sample_records(examples, texts, scores, np.asarray(advantages)))

  return Runner(stage.steps, functools.partial(init_state, optimizer=optimizer), advance)


def filter_notice(sizes: RolloutConfig) -> str | None:
  """What filters do to training, if any is on: the trainer's log-probs are of the whole softmax."""
  names = ("top_k", "top_p", "min_p")
  on = [f"{name}={getattr(sizes, name)}" for name in names if getattr(sizes, name) != _OFF[name]]
  if not on:
    return None
  return (
    f"{', '.join(on)} while training: answers come from a narrower distribution than the policy"
    " that is updated: loss.sampler_correction accounts for it, mismatch/* shows it"
  )


_OFF = {"top_k": 0, "top_p": 1.0, "min_p": 0.0}


def _make_sampler(setting: Setting, stage: GRPO) -> Any:
  """Builds (replicated parameters, step) -> examples and their rollout."""
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
  seed = setting.experiment.seed

  def sample(params: Params, step: int) -> tuple[list[Example], Rollout]:
    examples = setting.task.sample(seed, step, sizes.prompts)
    prompts = prompt_batch(setting.tokenizer, examples, room=room)
    keys = prompt_keys(seed, setting.index, step, sizes.prompts)
    return examples, jax.block_until_ready(
      compiled(params, devices.split(prompts), devices.split(keys))
    )

  return sample


def _make_learner(setting: Setting, stage: GRPO, optimizer: Any, reference: Params | None) -> Any:
  """Builds (state, rollout, rewards, advantages) -> state and metrics, over all its updates."""
  devices, network, updates = setting.devices, setting.network, stage.minibatches * stage.epochs
  parts = stage.optimizer.micro_batches
  check_divisible(devices, stage.rollout.prompts // stage.minibatches, parts, "rollout.prompts")
  step_fn = make_grpo_step(
    network,
    stage.loss,
    optimizer,
    make_schedule(stage.optimizer, stage.steps * updates),
    temperature=stage.rollout.temperature,
    micro_batches=parts,
    axis_name=devices.axis_name,
  )
  update = devices.compile(step_fn, donate=(0,))

  def logprobs_fn(params: Params, rollout: Rollout) -> jax.Array:
    return answer_logprobs(network, params, rollout, temperature=stage.rollout.temperature)[0]

  logprobs = devices.compile(logprobs_fn)
  reference = None if reference is None else devices.replicate(reference)

  def learn(state: TrainState, rollout: Rollout, rewards: Any, advantages: Any) -> Any:
    split_rewards, split_advantages = devices.split((rewards, advantages))
    batch = Batch(
      rollout,
      split_rewards,
      split_advantages,
      old_logprobs=logprobs(state.params, rollout) if updates > 1 else None,
      ref_logprobs=None if reference is None else logprobs(reference, rollout),
    )
    metrics: list[Metrics] = []
    for _ in range(stage.epochs):
      for index in range(stage.minibatches):
        state, more = update(state, _minibatch(devices, batch, index, stage.minibatches))
        metrics.append(more)
    return state, functools.reduce(metrics_lib.merge, metrics)

  return learn


def _minibatch(devices: Any, batch: Batch, index: int, count: int) -> Batch:
  """Every count-th prompt, from `index`: the same split whatever the devices."""
  if count == 1:
    return batch
  return devices.split(jax.tree.map(lambda leaf: leaf[index::count], devices.join(batch)))


def _scored(
  setting: Setting, stage: GRPO, examples: list[Example], rollout: Rollout
) -> tuple[list[list[str]], Scores]:
  """The answers as text, and what the rewards say of them."""
  texts = answer_texts(setting.tokenizer, np.asarray(rollout.tokens), np.asarray(rollout.mask))
  questions = [str(example.messages[-1]["content"]) for example in examples]
  return texts, score(stage.rewards, questions, texts, [example.fields for example in examples])


def _times(times: list[float], lengths: np.ndarray) -> dict[str, float]:
  """Seconds of each phase, and sampled tokens a second of the whole step."""
  rollout, reward, update = np.diff(times).tolist()
  total = rollout + reward + update
  return {
    "time/rollout_s": rollout,
    "time/reward_s": reward,
    "time/update_s": update,
    "time/step_s": total,
    "time/tokens_per_s": float(lengths.sum()) / total,
  }
