"""A run's checkpoint -> a model folder, in the layout of Hugging Face."""

import contextlib
import os

from grpo_jax import weights
from grpo_jax.config import ConfigError, Experiment
from grpo_jax.run.chosen import (
  LATEST,
  START,
  choose,
  experiment_of,
  number_of,
  open_checkpoints,
  stage_of,
)
from grpo_jax.run.policy import load_policy


def export(
  experiment: Experiment | None,
  workdir: str,
  out: str,
  which: str = LATEST,
  *,
  adapter: bool = False,
) -> str:
  """Writes the parameters of a checkpoint, with the tokenizer, to the folder `out`.

  Args:
    experiment: the one that the run was made with; None is what the run folder says.
    workdir: the run folder. out: must not hold a model.
    which: the checkpoint, as in `chosen.choose`.
    adapter: the low-rank adapters alone, as peft reads them, of the checkpoint even where
      stop.patience has kept another; else they are added to the weights.

  Returns:
    The number of the checkpoint, or "start".

  Raises:
    ConfigError: no run is named, it has another config, there is no such checkpoint, `out` holds a
      model, or there are no adapters.
  """
  if not workdir:  # which `choose` would take for the model as an experiment begins
    raise ConfigError("--workdir is empty: name the folder of a run")
  experiment = experiment_of(experiment, workdir)
  if os.path.exists(os.path.join(out, "config.json")):
    raise ConfigError(f"{out} holds a model already: name another folder")
  if adapter:
    return _export_adapter(experiment, workdir, out, which)
  chosen = choose(experiment, workdir, which)
  policy = chosen.policy
  weights.save(out, policy.network.architecture, policy.params, policy.tokenizer)
  return chosen.label


def _export_adapter(experiment: Experiment, workdir: str, out: str, which: str) -> str:
  if which == START:
    raise ConfigError(f"--adapter: before any step ({START}) there is none")
  with contextlib.closing(open_checkpoints(experiment, workdir)) as checkpoints:
    number = number_of(experiment, workdir, which, checkpoints.numbers())
    name, stage = stage_of(experiment, number)
    if not stage.lora.rank:
      raise ConfigError(f"--adapter: stage {name!r}, of checkpoint {number}, has lora.rank=0")
    saved = checkpoints.saved(number)["params"]
  # Of a later stage the base is what the one before has trained, and no folder is it.
  base = experiment.model.weights if name == next(iter(experiment.stages)) else ""
  architecture = load_policy(experiment).network.architecture
  weights.save_adapter(out, architecture, saved, stage.lora, base)
  return str(number)
