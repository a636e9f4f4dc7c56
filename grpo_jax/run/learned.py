"""Rewards that a model has learned, as functions of a batch of answers."""

import os

import jax
import numpy as np
import orbax.checkpoint as ocp

from grpo_jax.config import ConfigError
from grpo_jax.rewards import LearnedReward
from grpo_jax.run.reward_model import FOLDER
from grpo_jax.run.stage import Setting
from grpo_jax.steps.reward_model import init_params, make_score
from grpo_jax.types import Params, Rollout


def make_learned_reward(setting: Setting, name: str) -> LearnedReward:
  """Builds Rollout of NumPy arrays -> scores f32[P,G], standardised as the held-out ones were.

  Args:
    setting: the run.
    name: "stage:NAME", of this run, or "model:FOLDER", as WORKDIR/reward_models/NAME of another.

  Raises:
    ConfigError: there is no such model, or it is of another decoder.
  """
  kind, _, place = name.partition(":")
  path = os.path.join(setting.workdir, FOLDER, place) if kind == "stage" else place
  params, mean, std = load(path, name, setting)
  devices = setting.devices
  compiled, ready = devices.compile(make_score(setting.network)), devices.replicate(params)

  def reward(rollout: Rollout) -> np.ndarray:
    given = devices.split((rollout.prompts, rollout.tokens, rollout.mask))
    scores = jax.device_get(devices.join(compiled(ready, *given)))
    return (np.asarray(scores, np.float32) - mean) / std

  return reward


def load(path: str, name: str, setting: Setting) -> tuple[Params, float, float]:
  """Parameters, and mean and standard deviation of the held-out scores.

  Raises:
    ConfigError: as `make_learned_reward`.
  """
  if not os.path.isdir(path):
    raise ConfigError(f"reward {name!r}: there is no reward model in {path}")
  network = setting.network
  shapes = jax.eval_shape(lambda: init_params(network, network.init(jax.random.key(0))))
  scalar = jax.ShapeDtypeStruct((), np.float32)
  like = {"params": shapes, "scale": {"mean": scalar, "std": scalar}}
  with ocp.StandardCheckpointer() as checkpointer:
    saved = checkpointer.metadata(os.path.abspath(path)).item_metadata
    if saved is None or _shapes(saved) != _shapes(like):
      raise ConfigError(
        f"reward {name!r}: {path} holds no reward model with the decoder of this experiment"
      )
    found = checkpointer.restore(os.path.abspath(path), like)
  return found["params"], float(found["scale"]["mean"]), float(found["scale"]["std"])


def _shapes(tree: object) -> dict[str, tuple[int, ...]]:
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  return {jax.tree_util.keystr(path, simple=True): tuple(leaf.shape) for path, leaf in leaves}
