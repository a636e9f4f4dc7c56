"""Rewards by name and weight: functions of texts, or of arrays in JAX."""

from grpo_jax.rewards.arrays import ArrayReward, Solutions
from grpo_jax.rewards.compose import compose
from grpo_jax.rewards.isolated import Isolated
from grpo_jax.rewards.resolve import (
  EPISODE,
  TASK,
  is_learned,
  is_ruled,
  resolve,
  reward_name,
)
from grpo_jax.rewards.score import LearnedReward, Scores, score
from grpo_jax.rewards.verifiers import REWARDS, Reward

__all__ = [
  "EPISODE",
  "REWARDS",
  "TASK",
  "ArrayReward",
  "Isolated",
  "LearnedReward",
  "Reward",
  "Scores",
  "Solutions",
  "compose",
  "is_learned",
  "is_ruled",
  "resolve",
  "reward_name",
  "score",
]
