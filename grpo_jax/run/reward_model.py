"""A stage that trains a reward model, step by step."""

import dataclasses
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from grpo_jax import metrics as metrics_lib
from grpo_jax.config import RewardModel
from grpo_jax.optimizer import make_optimizer, make_schedule
from grpo_jax.parallel import processes, storage
from grpo_jax.run.batches import pair_batch
from grpo_jax.run.judge import judged
from grpo_jax.run.pairs import held_out_pairs, training_pairs
from grpo_jax.run.stage import Outcome, Runner, Setting, Told
from grpo_jax.steps.reward_model import init_params, make_reward_model_step, make_score
from grpo_jax.steps.update import init_state
from grpo_jax.tasks import Pair
from grpo_jax.types import Params, TrainState
from grpo_jax.weights.tokenizer import fingerprint

FOLDER = "reward_models"


def make_reward_model_runner(setting: Setting, stage: RewardModel) -> Runner:
  """Builds the stage: batches of pairs, one update each; the model is left for later stages.

  Raises:
    ConfigError: there are no pairs, or a file of them cannot be used.
  """
  devices, (_, init) = setting.devices, reward_model_step(setting, stage)
  held_out = held_out_pairs(stage, setting.task, f"config.stages.{setting.name}")
  sample = training_pairs(stage, setting.task, setting.experiment.seed)
  first = setting.begin(stage.pairs, lambda s: s.pairs if isinstance(s, RewardModel) else None)
  compiled = setting.program(
    lambda stage: reward_model_step(setting, stage)[0], stage, "update", donate=(0,)
  )
  room = setting.network.architecture.context_length - stage.max_tokens
  scores = _make_scores(setting, stage, held_out, room)

  def advance(state: TrainState, step: int) -> tuple[TrainState, Told]:
    started = time.monotonic()
    pairs = sample(first + step)
    batch = pair_batch(setting.tokenizer, pairs, max_tokens=stage.max_tokens, room=room)
    state, metrics = compiled(state, devices.split(batch))
    figures = metrics_lib.read(devices.first(metrics))
    seconds = time.monotonic() - started
    tokens = float(np.sum(batch[2]))
    figures |= {"time/step_s": seconds, "time/tokens_per_s": tokens / seconds}
    return state, lambda: [Outcome(figures, [], batch)]

  def finish(trained: Params) -> None:
    values, _ = scores(trained)
    params = devices.first(trained)
    path = os.path.join(setting.workdir, FOLDER, setting.name)
    save(path, params, values, identity(setting))

  return Runner(
    stage.steps,
    init,
    advance,
    policy=None,
    judge=lambda state: judged(*scores(state.params)),
    finish=finish,
  )


def reward_model_step(
  setting: Setting, stage: RewardModel
) -> tuple[Callable, Callable[[Params], TrainState]]:
  """The update that the stage's config describes, and policy -> the state before the first."""
  optimizer = make_optimizer(stage.optimizer)
  step = make_reward_model_step(
    setting.network,
    optimizer,
    make_schedule(stage.optimizer, stage.steps),
    margin=stage.margin,
    centering=stage.centering,
    micro_batches=stage.optimizer.micro_batches,
    axis_name=setting.devices.axis_name,
  )
  return step, lambda policy: init_state(init_params(setting.network, policy), optimizer)


def _make_scores(
  setting: Setting, stage: RewardModel, held_out: Sequence[Pair], room: int
) -> Callable[[Params], tuple[np.ndarray, np.ndarray]]:
  """Builds parameters -> scores f32[N,2] of held-out pairs, chosen first, and lengths i64[N,2]."""
  devices = setting.devices
  compiled = setting.program(lambda _: make_score(setting.network), stage, "score")
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


def identity(setting: Setting) -> dict[str, Any]:
  """What a reward model is bound to beside its parameters: the decoder's shape, and the ids."""
  architecture = dataclasses.asdict(setting.network.architecture)
  return {"architecture": architecture, "tokenizer": fingerprint(setting.tokenizer)}


def save(path: str, params: Params, scores: np.ndarray, bound: dict[str, Any]) -> None:
  """Writes a reward model, with the mean and standard deviation of its held-out scores.

  PATH.json beside it holds its `identity`.
  """
  if processes.decided(os.path.exists(path)):  # a resumed run whose stage was over
    return
  if processes.index() == 0:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.json", "w", encoding="utf-8") as file:
      json.dump(bound, file)
  std = float(scores.std())
  scale = {"mean": np.float32(scores.mean()), "std": np.float32(std if std > 0 else 1)}
  with ocp.StandardCheckpointer() as checkpointer:
    saved = storage.storable({"params": params, "scale": scale})
    checkpointer.save(os.path.abspath(path), saved)
