"""A run's checkpoint -> a model folder, in the layout of Hugging Face."""

import os

from grpo_jax import weights
from grpo_jax.config import ConfigError, Experiment, check
from grpo_jax.run.chosen import (
  check_known,
  newest,
  open_checkpoints,
  stage_of,
  trained_params,
)
from grpo_jax.run.policy import load_policy
from grpo_jax.run.record import check_config


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
  checkpoints = open_checkpoints(experiment, workdir)
  check_config(workdir, experiment)
  if os.path.exists(os.path.join(out, "config.json")):
    raise ConfigError(f"{out} holds a model already: name another folder")
  known = checkpoints.numbers()
  as_kept, number = number is None, newest(workdir, known) if number is None else number
  check_known(workdir, number, known)
  policy = load_policy(experiment)
  if adapter:
    name, stage = stage_of(experiment, number)
    if not stage.lora.rank:
      raise ConfigError(f"--adapter: stage {name!r}, of checkpoint {number}, has lora.rank=0")
    # Of a later stage the base is what the one before has trained, and no folder is it.
    first = name == next(iter(experiment.stages))
    saved = checkpoints.saved(number)["params"]
    base = experiment.model.weights if first else ""
    weights.save_adapter(out, policy.network.architecture, saved, stage.lora, base)
    return number
  params = trained_params(checkpoints, experiment, number, policy.params, as_kept=as_kept)
  weights.save(out, policy.network.architecture, params, policy.tokenizer)
  return number
