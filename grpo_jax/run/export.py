"""A run's checkpoint -> a model folder, in the layout of Hugging Face."""

import os

from grpo_jax import model, weights
from grpo_jax.config import ConfigError, Experiment, RewardModel, Stage, check
from grpo_jax.run.checkpoint import Checkpointer
from grpo_jax.run.policy import load_policy
from grpo_jax.run.record import check_config
from grpo_jax.run.stages import position
from grpo_jax.run.trained import merged_policy
from grpo_jax.types import Params


def export(
  experiment: Experiment,
  workdir: str,
  out: str,
  number: int | None = None,
  *,
  adapter: bool = False,
) -> int:
  """Writes the parameters of a checkpoint, with the tokenizer, to the folder `out`.

  Args:
    experiment: the one that the run was made with.
    workdir: the run folder. out: must not hold a model.
    number: the checkpoint, counted in steps of all stages; the newest by default, and of a stage
      with stop.patience the best.
    adapter: the low-rank adapters alone, as peft reads them, of the checkpoint even where
      stop.patience has kept another; else they are added to the weights.

  Returns:
    The number of the checkpoint.

  Raises:
    ConfigError: the run has another config, there is no such checkpoint, `out` holds a model, or
      there are no adapters.
  """
  check(experiment)
  if not os.path.isdir(os.path.join(workdir, "checkpoints")):
    raise ConfigError(f"{workdir} is no run folder: it has no checkpoints")
  check_config(workdir, experiment)
  if os.path.exists(os.path.join(out, "config.json")):
    raise ConfigError(f"{out} holds a model already: name another folder")
  checkpoints = Checkpointer(workdir, experiment.checkpoint)
  known = checkpoints.numbers()
  newest, number = number is None, number if number is not None else max(known, default=-1)
  if number not in known:
    raise ConfigError(f"{workdir} has no checkpoint {number}: there are {known}")
  policy = load_policy(experiment)
  index, _ = position(experiment, number)
  name, stage = list(experiment.stages.items())[index]
  if adapter:
    if not stage.lora.rank:
      raise ConfigError(f"--adapter: stage {name!r}, of checkpoint {number}, has lora.rank=0")
    # Of a later stage the base is what the one before has trained, and no folder is it.
    base = "" if index else experiment.model.weights
    saved = checkpoints.saved(number)["params"]
    weights.save_adapter(out, policy.network.architecture, saved, stage.lora, base)
    return number
  best = checkpoints.best(name, policy.params) if newest and stage.stop.patience else None
  if best is None or isinstance(stage, RewardModel):
    best = _policy(checkpoints, number, name, stage, policy.params)
  weights.save(out, policy.network.architecture, best, policy.tokenizer)
  return number


def _policy(
  checkpoints: Checkpointer, number: int, name: str, stage: Stage, like: Params
) -> Params:
  """The policy of a checkpoint of stage `name`."""
  if isinstance(stage, RewardModel):  # its checkpoints are of the reward model
    return checkpoints.pinned("policy", name, like)
  params: Params = checkpoints.saved(number)["params"]
  if stage.lora.rank:
    pinned = checkpoints.is_pinned("base", name)
    base = checkpoints.pinned("base", name, like) if pinned else like
    frozen = model.frozen_base(base, stage.lora.scale)
    return merged_policy(model.adapted(params, frozen))
  return dict(params.get("policy", params))  # beside a critic
