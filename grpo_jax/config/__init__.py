"""Typed configuration: every field declared, checked and read."""

from grpo_jax.config.algorithm import AlgorithmConfig, Grouping, Selection, Shaping
from grpo_jax.config.assistant import Assistant
from grpo_jax.config.experiment import Checkpoint, Evaluation, Experiment
from grpo_jax.config.fields import Config, ConfigError, check, freeze, is_known, is_on
from grpo_jax.config.files import Choices, Programs, Questions
from grpo_jax.config.games import Calculator, Guess
from grpo_jax.config.lora import LoRA
from grpo_jax.config.loss import LossConfig
from grpo_jax.config.made import Countdown, Gym, OwnTask
from grpo_jax.config.mixture import Curriculum, Mixture
from grpo_jax.config.model import Architecture, Model, RopeScaling
from grpo_jax.config.optimizer import Optimizer
from grpo_jax.config.parallel import Parallel
from grpo_jax.config.population import Population
from grpo_jax.config.ppo import PPO
from grpo_jax.config.presets import PRESETS, preset
from grpo_jax.config.reward_model import Preferences, RewardModel
from grpo_jax.config.samples import Samples
from grpo_jax.config.scoring import Scoring
from grpo_jax.config.stage import Stage, Stop, Switch
from grpo_jax.config.stages import GRPO, SFT, Rollout
from grpo_jax.config.sums import Addition
from grpo_jax.config.task import Task
from grpo_jax.config.term import Term, as_terms
from grpo_jax.config.texts import ChatSFT, Pretrain, Texts

__all__ = [
  "GRPO",
  "PPO",
  "PRESETS",
  "SFT",
  "Addition",
  "AlgorithmConfig",
  "Architecture",
  "Assistant",
  "Calculator",
  "ChatSFT",
  "Checkpoint",
  "Choices",
  "Config",
  "ConfigError",
  "Countdown",
  "Curriculum",
  "Evaluation",
  "Experiment",
  "Grouping",
  "Guess",
  "Gym",
  "LoRA",
  "LossConfig",
  "Mixture",
  "Model",
  "Optimizer",
  "OwnTask",
  "Parallel",
  "Population",
  "Preferences",
  "Pretrain",
  "Programs",
  "Questions",
  "RewardModel",
  "Rollout",
  "RopeScaling",
  "Samples",
  "Scoring",
  "Selection",
  "Shaping",
  "Stage",
  "Stop",
  "Switch",
  "Task",
  "Term",
  "Texts",
  "as_terms",
  "check",
  "freeze",
  "is_known",
  "is_on",
  "preset",
]
