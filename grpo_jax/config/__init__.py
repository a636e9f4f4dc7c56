"""Typed configuration: every field declared, checked and read."""

from grpo_jax.config.algorithm import PRESETS, AlgorithmConfig, Grouping, LossConfig, preset
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
  "check",
  "freeze",
  "preset",
]
