"""Typed configuration: every field declared, checked and read."""

from grpo_jax.config.algorithm import (
  AlgorithmConfig,
  Grouping,
  Selection,
  Shaping,
)
from grpo_jax.config.experiment import (
  GRPO,
  SFT,
  Addition,
  Architecture,
  Checkpoint,
  Evaluation,
  Experiment,
  Model,
  Optimizer,
  Parallel,
  Questions,
  Rollout,
  RopeScaling,
)
from grpo_jax.config.fields import Config, ConfigError, check, freeze
from grpo_jax.config.loss import LossConfig
from grpo_jax.config.presets import PRESETS, preset

__all__ = [
  "GRPO",
  "PRESETS",
  "SFT",
  "Addition",
  "AlgorithmConfig",
  "Architecture",
  "Checkpoint",
  "Config",
  "ConfigError",
  "Evaluation",
  "Experiment",
  "Grouping",
  "LossConfig",
  "Model",
  "Optimizer",
  "Parallel",
  "Questions",
  "Rollout",
  "RopeScaling",
  "Selection",
  "Shaping",
  "check",
  "freeze",
  "preset",
]
