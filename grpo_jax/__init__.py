"""grpo_jax: group-relative policy optimisation of language models, as pure functions in JAX.

What stands below is for use from Python, as in `from grpo_jax import preset, policy_loss`. Each is
imported when it is asked for: `import grpo_jax` brings neither jax nor anything else.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same names, for whoever reads types: a test compares them
  from grpo_jax.config import GRPO as GRPO
  from grpo_jax.config import PPO as PPO
  from grpo_jax.config import PRESETS as PRESETS
  from grpo_jax.config import SFT as SFT
  from grpo_jax.config import Addition as Addition
  from grpo_jax.config import AlgorithmConfig as AlgorithmConfig
  from grpo_jax.config import Architecture as Architecture
  from grpo_jax.config import Checkpoint as Checkpoint
  from grpo_jax.config import ConfigError as ConfigError
  from grpo_jax.config import Evaluation as Evaluation
  from grpo_jax.config import Experiment as Experiment
  from grpo_jax.config import Grouping as Grouping
  from grpo_jax.config import LoRA as LoRA
  from grpo_jax.config import LossConfig as LossConfig
  from grpo_jax.config import Model as Model
  from grpo_jax.config import Optimizer as Optimizer
  from grpo_jax.config import OwnTask as OwnTask
  from grpo_jax.config import Rollout as Rollout
  from grpo_jax.config import Term as Term
  from grpo_jax.config import preset as preset
  from grpo_jax.estimators import bootstrap as bootstrap
  from grpo_jax.estimators import majority as majority
  from grpo_jax.estimators import pass_at_k as pass_at_k
  from grpo_jax.estimators import wilson as wilson
  from grpo_jax.grouping import group_advantages as group_advantages
  from grpo_jax.losses import aggregate as aggregate
  from grpo_jax.losses import kl_estimate as kl_estimate
  from grpo_jax.losses import policy_loss as policy_loss
  from grpo_jax.rewards import ArrayReward as ArrayReward
  from grpo_jax.rewards import reward_name as reward_name
  from grpo_jax.run.library import evaluate_run as evaluate_run
  from grpo_jax.run.library import run_experiment as run_experiment
  from grpo_jax.sampling import filter_logits as filter_logits
  from grpo_jax.schedules import cosine_with_floor as cosine_with_floor

__version__ = "0.1.0"

_PLACES = {
  "config": (
    *("GRPO", "PPO", "PRESETS", "SFT", "Addition", "AlgorithmConfig", "Architecture"),
    *("Checkpoint", "ConfigError", "Evaluation", "Experiment", "Grouping", "LoRA", "LossConfig"),
    *("Model", "Optimizer", "OwnTask", "Rollout", "Term", "preset"),
  ),
  "estimators": ("bootstrap", "majority", "pass_at_k", "wilson"),
  "grouping": ("group_advantages",),
  "losses": ("aggregate", "kl_estimate", "policy_loss"),
  "rewards": ("ArrayReward", "reward_name"),
  "run.library": ("evaluate_run", "run_experiment"),
  "sampling": ("filter_logits",),
  "schedules": ("cosine_with_floor",),
}
_PLACE = {name: place for place, names in _PLACES.items() for name in names}


def __getattr__(name: str) -> Any:
  """A public name, out of the module that has it (PEP 562)."""
  if name not in _PLACE:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
  return getattr(importlib.import_module(f"{__name__}.{_PLACE[name]}"), name)


def __dir__() -> list[str]:
  return sorted([*globals(), *_PLACE])
