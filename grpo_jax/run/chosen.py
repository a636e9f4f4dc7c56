"""The policy of a run's checkpoint: the newest, the best, one by its number, or the first."""

import contextlib
import dataclasses
import os

from grpo_jax import model
from grpo_jax.config import ConfigError, Experiment, RewardModel, Stage, check
from grpo_jax.report import lines
from grpo_jax.report.found import best
from grpo_jax.run.bound import check_tokenizer
from grpo_jax.run.checkpoint import Checkpointer
from grpo_jax.run.policy import Policy, load_policy
from grpo_jax.run.record import check_config, read_config
from grpo_jax.run.stages import position
from grpo_jax.run.trained import merged_policy
from grpo_jax.types import Params

LATEST, BEST, START = "latest", "best", "start"


@dataclasses.dataclass(frozen=True)
class Chosen:
  """label: "start", or the checkpoint's number. stage: that trained it; empty at the start."""

  label: str
  stage: str
  policy: Policy


def experiment_of(experiment: Experiment | None, workdir: str | None) -> Experiment:
  """The experiment that is given, which a run folder may not contradict, or the folder's own.

  Raises:
    ConfigError: neither is given, they differ, or the folder is none of a run.
  """
  if experiment is None:
    if not workdir:
      raise ConfigError("name a run by --workdir=FOLDER, or a model without one by --config=FILE")
    experiment = read_config(workdir)
  elif workdir:
    check_config(workdir, experiment)
  check(experiment)
  return experiment


def choose(experiment: Experiment, workdir: str | None, which: str = LATEST) -> Chosen:
  """Loads a policy.

  Args:
    experiment: the run's.
    workdir: its folder; None is the model as the experiment begins with it.
    which: "latest", and of a stage with stop.patience what it goes on with; "best", of those that
      are kept the one with the highest eval/accuracy, the later of equals; "start", before any
      step; or a number, counted in steps of all stages.

  Raises:
    ConfigError: there is no such checkpoint, or it cannot be read.
  """
  if not workdir and which not in (LATEST, START):
    raise ConfigError(f"--checkpoint={which} is of a run: name it by --workdir=FOLDER")
  policy = load_policy(experiment)
  if workdir and os.path.exists(os.path.join(workdir, "bound.json")):
    check_tokenizer(workdir, policy.tokenizer)
  if not workdir or which == START:
    return Chosen(START, "", policy)
  with contextlib.closing(open_checkpoints(experiment, workdir)) as checkpoints:
    number = number_of(experiment, workdir, which, checkpoints.numbers())
    params = trained_params(checkpoints, experiment, number, policy.params, as_kept=which == LATEST)
  name, _ = stage_of(experiment, number)
  return Chosen(str(number), name, dataclasses.replace(policy, params=params))


def open_checkpoints(experiment: Experiment, workdir: str) -> Checkpointer:
  """The checkpoints of a run.

  Raises:
    ConfigError: the folder has none.
  """
  if not os.path.isdir(os.path.join(workdir, "checkpoints")):
    raise ConfigError(f"{workdir} is no run folder: it has no checkpoints")
  return Checkpointer(workdir, experiment.checkpoint)


def newest(workdir: str, known: list[int]) -> int:
  """The newest checkpoint's number.

  Raises:
    ConfigError: there is none.
  """
  if not known:
    raise ConfigError(f"{workdir} has no checkpoint yet")
  return max(known)


def check_known(workdir: str, number: int, known: list[int]) -> None:
  """Raises ConfigError where no checkpoint has this number."""
  if number not in known:
    raise ConfigError(f"{workdir} has no checkpoint {number}: there are {known}")


def stage_of(experiment: Experiment, number: int) -> tuple[str, Stage]:
  """The stage that a checkpoint is of."""
  index, _ = position(experiment, number)
  return list(experiment.stages.items())[index]


def trained_params(
  checkpoints: Checkpointer, experiment: Experiment, number: int, like: Params, *, as_kept: bool
) -> Params:
  """The policy of checkpoint `number`, adapters added to its weights.

  Args:
    checkpoints, experiment, number: the run, and which.
    like: its first parameters.
    as_kept: of a stage with stop.patience takes what it goes on with.
  """
  name, stage = stage_of(experiment, number)
  if isinstance(stage, RewardModel):  # its checkpoints are of the reward model
    return checkpoints.pinned("policy", name, like)
  if as_kept and stage.stop.patience and (own := checkpoints.best(name, like)) is not None:
    return own
  params: Params = checkpoints.saved(number)["params"]
  if stage.lora.rank:
    pinned = checkpoints.is_pinned("base", name)
    base = checkpoints.pinned("base", name, like) if pinned else like
    return merged_policy(model.adapted(params, model.frozen_base(base, stage.lora.scale)))
  return dict(params.get("policy", params))  # beside a critic


def number_of(experiment: Experiment, workdir: str, which: str, known: list[int]) -> int:
  """The number of the checkpoint that is named, of those that there are; not of the start.

  Raises:
    ConfigError: there is no such checkpoint.
  """
  latest = newest(workdir, known)
  if which == LATEST:
    return latest
  if which == BEST:
    found = {n: of for n, of in _accuracies(experiment, workdir).items() if n in known}
    number = best(sorted(found), found.__getitem__, "eval/accuracy")
    if number is None:
      raise ConfigError(f"{workdir}: none of the checkpoints {known} was evaluated: name one")
    return number
  if not which.isdecimal():
    raise ConfigError(
      f"--checkpoint={which}: expected {LATEST}, {BEST}, {START} or a number of {known}"
    )
  check_known(workdir, int(which), known)
  return int(which)


def _accuracies(experiment: Experiment, workdir: str) -> dict[int, float]:
  """Held-out accuracy by the number that a checkpoint of that step has."""
  before = experiment.steps_before()
  return {
    before[line["stage"]] + line["step"]: line["eval/accuracy"]
    for line in lines.every(os.path.join(workdir, "metrics.jsonl"))
    if line["stage"] in before and line.get("eval/accuracy") is not None
  }
