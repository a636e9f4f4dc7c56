"""Which rewards an experiment calls: a task may name its own, and a curriculum goes by one."""

import inspect
from typing import Any

from grpo_jax.config import GRPO, ConfigError, Experiment, OwnTask, Task
from grpo_jax.isolated.files import is_file, load
from grpo_jax.rewards import REWARDS, TASK, ArrayReward, Isolated, is_learned, is_ruled, resolve


def check_own_rewards(experiment: Experiment) -> None:
  """Refuses rewards that a task names and that are not of texts, and those that need workers.

  Raises:
    ConfigError: names the field.
  """
  _check_own(experiment.task, "config.task")
  for name, stage in experiment.stages.items():
    if stage.task is not None:
      _check_own(stage.task, f"config.stages.{name}.task")
  for name in asked_rewards(experiment):
    reward = resolve(name) if is_ruled(name) else None
    if isinstance(reward, Isolated) and not experiment.scoring.workers:
      raise reward.refusal()


def reward_files(experiment: Experiment) -> list[str]:
  """The files of rewards, and of environments, that workers call."""
  names = filter(is_ruled, asked_rewards(experiment))
  found = [(name.rpartition(":")[0], resolve(name)) for name in names]
  files = [own.path if isinstance(own, Isolated) else path for path, own in found]
  files += [task.file for task in _own_tasks(experiment) if task.environment]
  return list(dict.fromkeys(filter(is_file, files)))


def sources(experiment: Experiment) -> dict[str, str]:
  """The text of each reward and task that is a module's and in no file, as a notebook's, by name.

  "unknown" where Python does not keep it.
  """
  places = [name for name in filter(is_ruled, asked_rewards(experiment)) if ":" in name]
  for task in _own_tasks(experiment):
    parts = ("sample", "held_out", task.environment)
    places += [f"{task.file}:{part}" for part in filter(None, parts)]
  found = {}
  for place in dict.fromkeys(places):
    module, _, name = place.rpartition(":")
    if not is_file(module):
      own = getattr(load(module), name, None)
      found[place] = _source(own.function if isinstance(own, ArrayReward) else own)
  return found


def _source(own: Any) -> str:
  try:
    return inspect.getsource(own)
  except (OSError, TypeError):
    return "unknown"


def _own_tasks(experiment: Experiment) -> list[OwnTask]:
  tasks = [experiment.task, *(stage.task for stage in experiment.stages.values())]
  return [task for task in tasks if isinstance(task, OwnTask)]


def asked_rewards(experiment: Experiment) -> list[str]:
  """The rewards of all stages and of the evaluation; in place of "task" those of the tasks."""
  names: list[str] = []
  evaluation = (experiment.evaluation.reward, *experiment.evaluation.scores)
  stages = [stage for stage in experiment.stages.values() if isinstance(stage, GRPO)]
  asked = [(experiment.task, evaluation)]
  asked += [(stage.task or experiment.task, tuple(stage.rewards)) for stage in stages]
  for task, rewards in asked:
    names += [own for name in rewards for own in (task.own_rewards if name == TASK else (name,))]
  return list(dict.fromkeys(names))


def check_curriculum(experiment: Experiment, stage: GRPO, path: str) -> None:
  """Refuses levels without a reward that says what is right before the next prompts are chosen.

  Raises:
    ConfigError: names the field of the stage at `path`.
  """
  judge = experiment.evaluation.reward
  if judge not in stage.rewards:
    raise ConfigError(
      f"{path}.rewards: a curriculum goes by evaluation.reward={judge!r}, which is not among"
      f" {', '.join(stage.rewards)}: add it (with weight 0 it is only told), or name one of them in"
      " evaluation.reward"
    )
  if stage.steps_per_program > 1:
    raise ConfigError(
      f"{path}.steps_per_program={stage.steps_per_program}: a curriculum chooses prompts after each"
      " step: steps_per_program must be 1"
    )


def _check_own(task: Task, path: str) -> None:
  """A task's own reward reads texts, as evaluation does."""
  for name in task.own_rewards:
    if name == TASK or is_learned(name) or isinstance(resolve(name), ArrayReward):
      raise ConfigError(
        f"{path}.reward={name!r}: must be a reward of texts, as {', '.join(REWARDS)}, or"
        " 'file.py:function'"
      )
