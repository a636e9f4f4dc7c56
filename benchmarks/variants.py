"""Every preset with several seeds on one task: a table, a picture, and the runs themselves.

make variants, or: python -m benchmarks.variants [--seeds=3] [--jobs=2] [--presets=grpo,dapo]

Each run is a command of its own in runs/variants/PRESET-SEED, on one core; runs that are complete
are not run again. Writes runs/variants/variants.png and prints the table.
"""

import os

from absl import app, flags

from benchmarks import runs, variants_report
from experiments.configs import variants
from grpo_jax import config

_SEEDS = flags.DEFINE_integer("seeds", 3, "Runs of each preset.", lower_bound=1)
_JOBS = flags.DEFINE_integer("jobs", os.cpu_count(), "Runs at one time.", lower_bound=1)
_PRESETS = flags.DEFINE_list("presets", list(config.PRESETS), "Which presets.")
_CONFIG = os.path.join("experiments", "configs", "variants.py")
_ROOT = os.path.dirname(variants.WARM_START)


def main(_: list[str]) -> None:
  """Runs what is missing, then reports."""
  for name in _PRESETS.value:
    config.preset(name)  # a misspelt one is refused before anything runs
  runs.warm_start(_CONFIG, variants.WARM_START)
  found = runs.run_all(_CONFIG, _PRESETS.value, _SEEDS.value, _ROOT, jobs=_JOBS.value)
  curves = {run: runs.curve(lines) for run, lines in found.items()}
  rows = variants_report.summary(curves)
  print(variants_report.table(rows))
  variants_report.picture(rows, curves, os.path.join(_ROOT, "variants.png"))


if __name__ == "__main__":
  app.run(main)
