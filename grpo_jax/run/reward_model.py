"""A stage that trains a reward model, step by step."""

import os
import time
from collections.abc import Callable, Sequence

import jax
import numpy as np
import orbax.checkpoint as ocp

from grpo_jax import metrics as metrics_lib
from grpo_jax.config import ConfigError, RewardModel
from grpo_jax.optimizer import make_optimizer, make_schedule
from grpo_jax.parallel import processes, storage
from grpo_jax.run.batches import pair_batch
from grpo_jax.run.judge import judged
from grpo_jax.run.stage import Outcome, Runner, Setting, Told
from grpo_jax.steps.reward_model import init_params, make_reward_model_step, make_score
from grpo_jax.steps.update import init_state
from grpo_jax.tasks import Pair
from grpo_jax.tasks.preferences import read_preferences
from grpo_jax.tasks.rows import step_rows
from grpo_jax.types import Params, TrainState
from grpo_jax.weights.tokenizer import fingerprint

FOLDER = "reward_models"


def make_reward_model_runner(setting: Setting, stage: RewardModel) -> Runner:
  """Builds the stage: batches of pairs, one update each; the model is left for later stages.

  Raises:
    ConfigError: there are no pairs, or a file of them cannot be used.
  """
  devices, optimizer = setting.devices, make_optimizer(stage.optimizer)
  sample, held_out = _pairs(setting, stage)
  step_fn = make_reward_model_step(
    setting.network,
    optimizer,
    make_schedule(stage.optimizer, stage.steps),
    margin=stage.margin,
    centering=stage.centering,
    micro_batches=stage.optimizer.micro_batches,
    axis_name=devices.axis_name,
  )
  compiled = devices.compile(step_fn, donate=(0,))
  room = setting.network.architecture.context_length - stage.max_tokens
  scores = _make_scores(setting, stage, held_out, room)

  def advance(state: TrainState, step: int) -> tuple[TrainState, Told]:
    started = time.monotonic()
    pairs = sample(setting.steps_before + step)
    batch = pair_batch(setting.tokenizer, pairs, max_tokens=stage.max_tokens, room=room)
    state, metrics = compiled(state, devices.split(batch))
    figures = metrics_lib.read(devices.first(metrics))
    seconds = time.monotonic() - started
    tokens = float(np.sum(batch[2]))
    figures |= {"time/step_s": seconds, "time/tokens_per_s": tokens / seconds}
    return state, lambda: [Outcome(figures, [])]

  def finish(state: TrainState) -> None:
    values, _ = scores(state.params)
    name = list(setting.experiment.stages)[setting.index]
    params = devices.first(state.params)
    path = os.path.join(setting.workdir, FOLDER, name)
    save(path, params, values, fingerprint(setting.tokenizer))

  return Runner(
    stage.steps,
    lambda policy: init_state(init_params(setting.network, policy), optimizer),
    advance,
    policy=None,
    judge=lambda state: judged(*scores(state.params)),
    finish=finish,
  )


def _pairs(
  setting: Setting, stage: RewardModel
) -> tuple[Callable[[int], list[Pair]], Sequence[Pair]]:
  """step -> the pairs of its batch, and those held out."""
  seed, size, count = setting.experiment.seed, stage.batch_size, stage.held_out_pairs
  if stage.pairs is not None:
    train, held = read_preferences(stage.pairs)
    if len(held) < count:
      raise ConfigError(f"held_out_pairs={count}, but {stage.pairs.held_out} has {len(held)} pairs")
    return lambda step: [train[row] for row in step_rows(len(train), seed, step, size)], held[
      :count
    ]
  task = setting.task.pairs
  if task is None:
    raise ConfigError(
      "the task has no preferences: name files, as in pairs=Preferences(train=..., held_out=...)"
    )
  return lambda step: task(seed, step, size), task(0, -1, count)


def _make_scores(
  setting: Setting, stage: RewardModel, held_out: Sequence[Pair], room: int
) -> Callable[[Params], tuple[np.ndarray, np.ndarray]]:
  """Builds parameters -> scores f32[N,2] of held-out pairs, chosen first, and lengths i64[N,2]."""
  devices = setting.devices
  compiled = devices.compile(make_score(setting.network))
  size = stage.batch_size // stage.optimizer.micro_batches  # no more memory than in the update
  padded = list(held_out) + [held_out[-1]] * (-len(held_out) % size)
  prompts, tokens, mask = pair_batch(
    setting.tokenizer, padded, max_tokens=stage.max_tokens, room=room
  )

  def scores(params: Params) -> tuple[np.ndarray, np.ndarray]:
    found = []
    for start in range(0, len(padded), size):
      rows = slice(start, start + size)
      part = jax.tree.map(lambda leaf, rows=rows: leaf[rows], (prompts, tokens, mask))
      found.append(jax.device_get(devices.join(compiled(params, *devices.split(part)))))
    return np.concatenate(found)[: len(held_out)], mask.sum(axis=-1)[: len(held_out)]

  return scores


def save(path: str, params: Params, scores: np.ndarray, tokenizer: str) -> None:
  """Writes a reward model, with the mean and standard deviation of its held-out scores.

  PATH.tokenizer beside it holds the fingerprint of the tokenizer whose ids it has learned.
  """
  if processes.decided(os.path.exists(path)):  # a resumed run whose stage was over
    return
  if processes.index() == 0:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.tokenizer", "w", encoding="utf-8") as file:
      file.write(tokenizer)
  std = float(scores.std())
  scale = {"mean": np.float32(scores.mean()), "std": np.float32(std if std > 0 else 1)}
  with ocp.StandardCheckpointer() as checkpointer:
    saved = storage.storable({"params": params, "scale": scale})
    checkpointer.save(os.path.abspath(path), saved)
