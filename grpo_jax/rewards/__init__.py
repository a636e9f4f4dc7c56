"""Rewards by name and weight: functions of texts, or of arrays in JAX."""

from grpo_jax.rewards.arrays import ArrayReward, Solutions
from grpo_jax.rewards.resolve import resolve
from grpo_jax.rewards.score import Scores, score
from grpo_jax.rewards.verifiers import REWARDS, Reward

__all__ = ["REWARDS", "ArrayReward", "Reward", "Scores", "Solutions", "resolve", "score"]
