"""Rewards: functions of (prompt, completion, the task's fields), by name and weight."""

from grpo_jax.rewards.resolve import resolve
from grpo_jax.rewards.score import Scores, score
from grpo_jax.rewards.verifiers import REWARDS, Reward

__all__ = ["REWARDS", "Reward", "Scores", "resolve", "score"]
