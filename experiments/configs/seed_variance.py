r"""One preset with 32 seeds in one program: how far the final score is a matter of luck.

make seeds  # the warm start, the main presets one after another, a table and a picture

python -m experiments.train --config=experiments/configs/seed_variance.py:dapo \
    --workdir=runs/seeds/dapo

Two CPU cores: the warm start that all share 1 minute (held-out accuracy 0.65, as of variants.py),
32 seeds of a preset about 5 minutes. Seeds draw other prompts and other answers; the policy that
they begin with is one. 2026-11-25: from 0.71 to 0.764 by grpo, 0.766 dr_grpo, 0.783 dapo, 0.791
maxrl, each with a standard deviation of 0.02 among its seeds.
"""

from experiments.configs import variants
from grpo_jax import config

SEEDS = 32


def get_config(name: str = "grpo") -> config.Experiment:
  """`name` is one of config.PRESETS, or "warm_start"."""
  experiment = variants.get_config(name)
  if name == "warm_start":
    return experiment
  experiment.evaluation.every = 50
  stage = experiment.stages["grpo"]
  assert isinstance(stage, config.GRPO)
  stage.steps, stage.rollout.prompts = 100, 32
  experiment.population = config.Population(size=SEEDS)
  return experiment
