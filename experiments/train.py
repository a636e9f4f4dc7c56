r"""Trains a model as an experiment file says.

python -m experiments.train --config=experiments/configs/tiny_arithmetic.py --workdir=runs/tiny \
    --config.stages.grpo.optimizer.lr=3e-4 --config.stages.grpo.rollout.group_size=4

Any field of the config can be set by its path; `--describe` prints all of them with their values.
The same command on the same folder resumes a run that was interrupted.
"""

from absl import app, flags
from ml_collections import config_flags

from grpo_jax.run import arguments, launch

_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "Experiment file, a Python file with get_config(); --config.FIELD=VALUE overrides"
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; an interrupted one is resumed.")
_DESCRIBE = flags.DEFINE_bool("describe", False, "Print the resolved config and stop.")
_SHARDING = flags.DEFINE_bool(
  "print_sharding", False, "Print how a mesh splits each parameter, and stop."
)
_PROFILE = flags.DEFINE_string(
  "profile", "", "START:STOP: write a profiler trace of these steps into WORKDIR/profile."
)
_STAGES = flags.DEFINE_list("stages", [], "Run only these stages, as in sft,grpo.")
_POPULATION = flags.DEFINE_integer(
  "population", None, "Members that are trained in one program, of other seeds.", lower_bound=1
)
_VARY = flags.DEFINE_string(
  "vary", "", "PATH=NUMBER,NUMBER,...; ...: a value for each member, below --config."
)
_DISTRIBUTED = flags.DEFINE_bool(
  "distributed", False, "One of several processes; Slurm, Open MPI, GKE and TPU pods need no more."
)
_ADDRESS = flags.DEFINE_string(
  "coordinator_address", None, "HOST:PORT of process 0, for --distributed elsewhere."
)
_COUNT = flags.DEFINE_integer("process_count", None, "How many processes, for --distributed.")
_INDEX = flags.DEFINE_integer("process_index", None, "Which one this is, from 0.")
_HEARTBEAT = flags.DEFINE_integer(
  "heartbeat_timeout_s", 60, "Seconds after which a silent process counts as lost.", lower_bound=4
)
_FAULT = flags.DEFINE_string(
  "inject_fault", "", "SIGNAL:PLACE@N[+SECONDS]: a drill, as in sigkill:reward@3; then resume."
)
_TOLERATED = flags.DEFINE_integer(
  "tolerate_save_failures", 0, "Go on after so many failed saves in a row.", lower_bound=0
)
_VIEW = flags.DEFINE_enum(
  "view", "auto", ["auto", "live", "plain"], "Drawn in a terminal (auto, live), or in lines."
)
_QUIET = flags.DEFINE_bool("quiet", False, "Only warnings, errors and the closing lines.")
_TRACKER = flags.DEFINE_list("tracker", [], "Give figures to these too: wandb, mlflow, trackio.")
_PROJECT = flags.DEFINE_string("tracker_project", "grpo_jax", "The project of trackers.")
_GROUP = flags.DEFINE_string("tracker_group", "", "Of runs that belong together, for trackers.")
flags.mark_flag_as_required("config")


def main(_: list[str]) -> None:
  """Runs the experiment, or describes it."""
  if _DESCRIBE.value:
    launch.describe(_CONFIG.value)
  elif _SHARDING.value:
    launch.print_sharding(_CONFIG.value)
  else:
    processes = (_ADDRESS.value, _COUNT.value, _INDEX.value)
    launch.distribute(_DISTRIBUTED.value, *processes, _HEARTBEAT.value)
    several = (_POPULATION.value, _VARY.value, _FAULT.value, _TOLERATED.value)
    launch.train(
      *(_CONFIG.value, _WORKDIR.value, _PROFILE.value, _STAGES.value, *several),
      view=_VIEW.value,
      quiet=_QUIET.value,
      trackers=_TRACKER.value,
      tracker_project=_PROJECT.value,
      tracker_group=_GROUP.value,
    )


def console_main() -> None:
  """The entry point: an error in a flag is one line."""
  app.run(main, flags_parser=arguments.parse_only_flags)


if __name__ == "__main__":
  console_main()
