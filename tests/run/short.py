"""The tiny experiment with a reward that varies from the first step on.

Without any, the first gradients are rounding, and AdamW makes updates of them: two runs that should
agree to rounding would not.
"""

from experiments.configs import tiny_arithmetic
from grpo_jax import config


def get_config() -> config.Experiment:
  """The tiny experiment, rewarded for nothing it could learn as well."""
  experiment = tiny_arithmetic.get_config()
  experiment.stages["grpo"].rewards["random"] = 0.5
  return experiment
