"""A run's checkpoint -> a model folder, in the layout of Hugging Face."""

import os

from grpo_jax import weights
from grpo_jax.config import ConfigError, Experiment, RewardModel, check
from grpo_jax.run.checkpoint import Checkpointer
from grpo_jax.run.policy import load_policy
from grpo_jax.run.stages import position


def export(experiment: Experiment, workdir: str, out: str, number: int | None = None) -> int:
  """Writes the parameters of a checkpoint, with the tokenizer, to the folder `out`.

  Args:
    experiment: the one that the run was made with.
    workdir: the run folder. out: must not hold a model.
    number: the checkpoint, counted in steps of all stages; the newest by default, and of a stage
      with stop.patience the best.

  Returns:
    The number of the checkpoint.

  Raises:
    ConfigError: there is no such checkpoint, or `out` holds a model.
  """
  check(experiment)
  if not os.path.isdir(os.path.join(workdir, "checkpoints")):
    raise ConfigError(f"{workdir} is no run folder: it has no checkpoints")
  if os.path.exists(os.path.join(out, "config.json")):
    raise ConfigError(f"{out} holds a model already: name another folder")
  checkpoints = Checkpointer(workdir, experiment.checkpoint)
  known = checkpoints.numbers()
  newest, number = number is None, number if number is not None else max(known, default=-1)
  if number not in known:
    raise ConfigError(f"{workdir} has no checkpoint {number}: there are {known}")
  policy = load_policy(experiment)
  name, stage = list(experiment.stages.items())[position(experiment, number)[0]]
  best = checkpoints.best(name, policy.params) if newest and stage.stop.patience else None
  if best is not None and not isinstance(stage, RewardModel):
    params = best
  elif isinstance(stage, RewardModel):  # its checkpoints are of the reward model
    params = checkpoints.pinned("policy", name, policy.params)
  else:
    params = checkpoints.saved(number)["params"]
    params = params.get("policy", params)  # beside a critic
  weights.save(out, policy.network.architecture, params, policy.tokenizer)
  return number
