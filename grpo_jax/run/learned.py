"""Rewards that a model has learned, as functions of a batch of answers."""

import json
import os
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from grpo_jax.config import ConfigError
from grpo_jax.rewards import LearnedReward, is_learned
from grpo_jax.run.reward_model import FOLDER, identity
from grpo_jax.run.stage import Setting
from grpo_jax.steps.reward_model import init_params, make_score
from grpo_jax.types import Params, Rollout

# (reward model, answers) -> scores f32[P,G]: pure
Judge = Callable[[Params, Rollout], jax.Array]


def make_learned_reward(setting: Setting, name: str) -> LearnedReward:
  """Builds Rollout of NumPy arrays -> scores f32[P,G], as `learned_judge` has them.

  What setting.models has is not built again: a reward and a held-out score are one model.
  """
  if name in setting.models:
    return setting.models[name]
  devices = setting.devices
  params, judge = learned_judge(setting, name)
  compiled = devices.program(lambda _: judge, None, name=f"{setting.name}/judge {name}")
  ready = devices.replicate(params)

  def reward(rollout: Rollout) -> np.ndarray:
    return jax.device_get(devices.join(compiled(ready, devices.split(rollout))))

  return reward


def learned_judge(setting: Setting, name: str) -> tuple[Params, Judge]:
  """A reward model with its scale, and its scores in standard deviations from their held-out mean.

  Args:
    setting: the run.
    name: "stage:NAME", of this run, or "model:FOLDER", as WORKDIR/reward_models/NAME of another.

  Raises:
    ConfigError: there is no such model, or it is of another decoder.
  """
  params, mean, std = load(_path(setting, name), name, setting)
  # Not constants of the program: every member of a population has its own.
  standard = {"model": params, "mean": jnp.float32(mean), "std": jnp.float32(std)}
  score = make_score(setting.network)
  stop, *others = setting.tokenizer.stop_ids

  def judge(params: Params, rollout: Rollout) -> jax.Array:
    # The model has learned with one stop token: an answer may have ended with another.
    tokens = jnp.where(jnp.isin(rollout.tokens, jnp.array(others, int)), stop, rollout.tokens)
    scores = score(params["model"], rollout.prompts, tokens, rollout.mask)
    return (scores - params["mean"]) / params["std"]

  return standard, judge


def held_out_scores(setting: Setting) -> list[str]:
  """The learned rewards among evaluation.scores, as far as their stages have ended."""
  names = filter(is_learned, setting.experiment.evaluation.scores)
  before = list(setting.experiment.stages)[: setting.index]
  return [n for n in names if n.startswith("model:") or n.removeprefix("stage:") in before]


def _path(setting: Setting, name: str) -> str:
  kind, _, place = name.partition(":")
  return os.path.join(setting.workdir, FOLDER, place) if kind == "stage" else place


def load(path: str, name: str, setting: Setting) -> tuple[Params, float, float]:
  """Parameters, and mean and standard deviation of the held-out scores.

  Raises:
    ConfigError: as `learned_judge`.
  """
  if not os.path.isdir(path):
    raise ConfigError(f"reward {name!r}: there is no reward model in {path}")
  _check_identity(path, name, setting)
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
    found = checkpointer.restore(os.path.abspath(path), setting.devices.like(like))
  return found["params"], float(found["scale"]["mean"]), float(found["scale"]["std"])


def _check_identity(path: str, name: str, setting: Setting) -> None:
  """Refuses a model of another decoder or other ids: its scores would be noise.

  Shapes alone do not tell: a decoder of another rotary base has the same.
  """
  try:
    with open(f"{path}.json", encoding="utf-8") as file:
      bound = json.load(file)
  except (OSError, ValueError) as error:
    raise ConfigError(f"reward {name!r}: {path}.json cannot be read: {error}") from error
  own = json.loads(json.dumps(identity(setting)))
  for part, what in (
    ("tokenizer", "another tokenizer or chat template"),
    ("architecture", "a decoder of another kind"),
  ):
    if bound.get(part) != own[part]:
      raise ConfigError(
        f"reward {name!r}: {path} was trained with {what} than this policy has:"
        f" {str(bound.get(part))[:60]}"
      )


def _shapes(tree: object) -> dict[str, tuple[int, ...]]:
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  return {jax.tree_util.keystr(path, simple=True): tuple(leaf.shape) for path, leaf in leaves}
