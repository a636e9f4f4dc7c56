"""The tiny task with a reward that waits, as one does that asks another machine."""

import time

from grpo_jax.rewards.verifiers import REWARDS

_SECONDS = 0.004


def get_config():
  """As `experiments/configs/tiny_arithmetic.py`, rewarded from here."""
  from experiments.configs import tiny_arithmetic

  experiment = tiny_arithmetic.get_config()
  experiment.stages["grpo"].rewards = {f"{__file__}:waiting": 1.0}
  return experiment


def waiting(prompt: str, completion: str, fields: dict) -> float:
  """`number`, four milliseconds later."""
  time.sleep(_SECONDS)
  return REWARDS["number"](prompt, completion, fields)
