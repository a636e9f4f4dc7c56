"""Trackers beside metrics.jsonl: Weights & Biases, MLflow, Trackio."""

from grpo_jax.run.trackers.all import (
  UNTRACKED,
  Trackers,
  Tracking,
  check_trackers,
  start_trackers,
)

__all__ = ["UNTRACKED", "Trackers", "Tracking", "check_trackers", "start_trackers"]
