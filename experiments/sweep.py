r"""Searches for good values of fields: each trial is a training run in a process of its own.

python -m experiments.sweep --config=experiments/configs/tiny_arithmetic.py --workdir=runs/sweep \
    --space='stages.grpo.optimizer.lr=log(1e-5,1e-3); stages.grpo.rollout.group_size=choice(4,8)' \
    --trials=40

`--config.FIELD=VALUE` sets a field of all trials. The same command goes on with a sweep that was
stopped; on another machine, with the same --storage, it joins. BUILD.md has all of it.
"""

import sys

from absl import app, flags
from ml_collections import config_flags

from grpo_jax.run import arguments, launch

_CONFIG = config_flags.DEFINE_config_file("config", None, "Experiment file, as in training.")
_ASKED = [
  flags.DEFINE_string("workdir", "", "Folder of the sweep; one that was stopped goes on."),
  flags.DEFINE_string(
    "space", "", "FIELD=log(a,b)|uniform(a,b)|int(a,b)|logint(a,b)|choice(...); ..., or get_space."
  ),
  flags.DEFINE_integer("trials", 20, "Trials of the whole study; 0 for no limit.", lower_bound=0),
  flags.DEFINE_string("objective", "eval/accuracy", "The figure whose last value counts."),
  flags.DEFINE_enum("direction", "maximize", ["maximize", "minimize"], "Which is better."),
  flags.DEFINE_integer("seeds", 1, "Runs of a trial, with config.seed, +1, ...", lower_bound=1),
  flags.DEFINE_enum("sampler", "tpe", ["tpe", "random", "grid", "cma"], "How points are chosen."),
  flags.DEFINE_enum(
    "pruner", "none", ["none", "median", "hyperband", "ceiling"], "How bad trials are cut short."
  ),
  flags.DEFINE_string("storage", "", "Optuna URL, as in sqlite:///sweep.db; empty for a file."),
  flags.DEFINE_string("study", "sweep", "The study's name in the storage."),
  flags.DEFINE_float("hours", 0.0, "Time budget; trials under way are resumed later.", 0.0),
  flags.DEFINE_float("trial_hours", 0.0, "A trial that takes longer has failed.", 0.0),
  flags.DEFINE_integer("max_failed", 5, "Stop after so many failures and no success.", 1),
  flags.DEFINE_integer("jobs", 1, "Trials at a time, or workers on Slurm.", lower_bound=1),
  flags.DEFINE_integer(
    "population", 1, "Trials that are run as members of one population.", lower_bound=1
  ),
  flags.DEFINE_integer("devices_per_trial", 1, "GPUs of each trial.", lower_bound=1),
  flags.DEFINE_list("tracker", [], "Of the runs, as in training: wandb, mlflow, trackio."),
  flags.DEFINE_string("tracker_project", "grpo_jax", "The project of trackers."),
]
_LAUNCHER = flags.DEFINE_enum("launcher", "local", ["local", "slurm"], "Where trials run.")
_SLURM = flags.DEFINE_string("slurm", "", "As in partition=gpu,gpus_per_node=1,time=240.")
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Write and print the Slurm script, no more.")
flags.mark_flag_as_required("config")


def main(_: list[str]) -> None:
  """Runs the sweep, or submits it."""
  asked = {flag.name: flag.value for flag in _ASKED}
  launch.sweep(_CONFIG.value, sys.argv, asked, _LAUNCHER.value, _SLURM.value, _DRY_RUN.value)


if __name__ == "__main__":
  app.run(main, flags_parser=arguments.parse_only_flags)
