r"""What layers and width buy at fixed data: one size of decoder, trained on sums.

make scaling  # every size: a table and a picture of ability and cost

python -m experiments.train --config=experiments/configs/scaling.py:4x64 --workdir=runs/4x64

`LAYERSxWIDTH`. The data are the same for every size: 300 batches of 128 supervised sums up to 50,
in the same order, then the same prompts of GRPO. One CPU core, 20 seconds to 3 minutes a size.
"""

import re

from experiments.configs import tiny_arithmetic
from grpo_jax import config

SIZES = ("1x32", "1x64", "1x128", "2x32", "2x64", "2x128", "4x32", "4x64", "4x128")
_HEAD = 32


def get_config(size: str = "2x64") -> config.Experiment:
  """A decoder of LAYERS layers and width WIDTH, a multiple of 32."""
  match = re.fullmatch(r"(\d+)x(\d+)", size)
  if match is None or int(match[2]) % _HEAD or not int(match[1]) * int(match[2]):
    raise config.ConfigError(
      f"size {size!r}: expected LAYERSxWIDTH, the width a multiple of {_HEAD}, as in 2x64"
    )
  layers, width = int(match[1]), int(match[2])
  experiment = tiny_arithmetic.get_config()
  experiment.model.architecture = config.Architecture(
    hidden_size=width,
    layers=layers,
    heads=width // _HEAD,
    kv_heads=width // _HEAD,
    head_size=_HEAD,
    ffn_size=width * 8 // 3 // 8 * 8,
    context_length=32,
  )
  experiment.task = config.Addition(low=0, high=50, question="{a}+{b}=")
  experiment.evaluation = config.Evaluation(problems=300, every=50, max_tokens=4, batch_size=300)
  experiment.checkpoint = config.Checkpoint(every=1000)
  for stage in experiment.stages.values():
    if isinstance(stage, config.GRPO):
      stage.steps, stage.rollout.prompts = 100, 64
    else:
      stage.steps = 300
  return experiment
