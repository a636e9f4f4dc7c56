"""The preferences that a reward model learns from, and those it is judged by."""

from collections.abc import Callable, Sequence

from grpo_jax.config import ConfigError, Experiment, RewardModel
from grpo_jax.tasks import Pair, Task
from grpo_jax.tasks.preferences import read_preferences
from grpo_jax.tasks.rows import step_rows
from grpo_jax.tasks.sides import held_out_of


def training_pairs(stage: RewardModel, task: Task, seed: int) -> Callable[[int], list[Pair]]:
  """step -> the pairs of its batch; there are some, as `held_out_pairs` has made sure."""
  size = stage.batch_size
  if stage.pairs is not None:
    train = read_preferences(stage.pairs).train
    return lambda step: [train[row] for row in step_rows(len(train), seed, step, size)]
  pairs = task.pairs
  assert pairs is not None
  return lambda step: pairs(seed, step, size)


def pairs_left_out(experiment: Experiment) -> list[str]:
  """Lines on rows of the stages' files that cannot be used."""
  return [
    f"{name}: {line}"
    for name, stage in experiment.stages.items()
    if isinstance(stage, RewardModel) and stage.pairs is not None
    for line in read_preferences(stage.pairs).notes
  ]


def held_out_pairs(stage: RewardModel, task: Task, path: str) -> Sequence[Pair]:
  """The pairs that are judged.

  Raises:
    ConfigError: begins with `path`, the stage's place: there are none, too few, or a file of them
      cannot be used.
  """
  count = stage.held_out_pairs
  if stage.pairs is not None:
    held = read_preferences(stage.pairs).held_out
    if len(held) < count:
      raise ConfigError(
        f"{path}.held_out_pairs={count}, but {held_out_of(stage.pairs)} has {len(held)} pairs"
      )
    return held[:count]
  if task.pairs is None:
    raise ConfigError(
      f"{path}: the task has no preferences: name files, as in"
      " pairs=Preferences(train=..., held_out=...)"
    )
  return task.pairs(0, -1, count)
