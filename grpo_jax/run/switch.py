"""What a stage takes over from the one before, beside its parameters."""

from typing import Any

import jax

from grpo_jax.config import GRPO, ConfigError, Experiment
from grpo_jax.types import TrainState


def reference_of(experiment: Experiment, name: str) -> str:
  """The stage whose first policy is the reference of stage `name`: itself, or an earlier one."""
  names = list(experiment.stages)
  if experiment.stages[name].switch.reference == "fresh":
    return name
  before = names[: names.index(name)]
  own = [n for n in before if _has_reference(experiment.stages[n])]
  return reference_of(experiment, own[-1])  # Experiment.contradictions: there is one


def _has_reference(stage: Any) -> bool:
  return isinstance(stage, GRPO) and stage.loss.kl_coefficient > 0


def kept_moments(last: TrainState | None, state: TrainState) -> Any:
  """The optimiser's state that the stage before ended with.

  Raises:
    ConfigError: there is none, or it is of other parameters or another optimiser.
  """
  if last is None:
    raise ConfigError("switch.moments='keep': no stage has run before this one")
  shapes = [
    jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)
    for tree in (last.opt_state, state.opt_state)
  ]
  if shapes[0] != shapes[1]:
    raise ConfigError(
      "switch.moments='keep': the stage before has an optimiser of another kind, or trains other"
      " parameters: 'fresh', or the same optimizer fields"
    )
  return last.opt_state
