r"""One preset on sums up to 50, from a warm start that all of them share.

make variants  # the warm start, every preset with three seeds, a table and a picture

python -m experiments.train --config=experiments/configs/variants.py:dapo --workdir=runs/dapo

One CPU core: the warm start 1 minute (held-out accuracy 0.65), a preset 1 to 2 minutes. Two updates
a rollout, so that ratios leave 1, and bounds and objectives have something to do.
"""

from experiments.configs import tiny_arithmetic
from grpo_jax import config

WARM_START = "runs/variants/warm_start"


def get_config(name: str = "grpo") -> config.Experiment:
  """`name` is one of config.PRESETS, or "warm_start"; all else is the same for all presets."""
  experiment = tiny_arithmetic.get_config()
  experiment.task = config.Addition(low=0, high=50, question="{a}+{b}=")
  experiment.evaluation = config.Evaluation(problems=300, every=10, max_tokens=4, batch_size=300)
  experiment.checkpoint = config.Checkpoint(every=1000)
  if name == "warm_start":
    optimizer = config.Optimizer(lr=2e-3, min_lr=5e-4, warmup_steps=20)
    experiment.stages = {
      "sft": config.SFT(steps=220, batch_size=256, max_tokens=4, optimizer=optimizer)
    }
    return experiment
  experiment.model = config.Model(weights=f"{WARM_START}/model", remat=False, unroll=0)
  experiment.stages = {
    "grpo": config.GRPO(
      steps=120,
      rollout=config.Rollout(prompts=128, group_size=8, max_tokens=4),
      optimizer=config.Optimizer(lr=2e-4, min_lr=2e-5, warmup_steps=10),
      minibatches=2,
      **config.preset(name),
    )
  }
  return experiment
