"""From the command line to what it names, with its imports made late: --help stays quick."""

import contextlib
import functools
import os
from collections.abc import Sequence
from typing import Any, NoReturn

from grpo_jax.config import ConfigError, Experiment, check
from grpo_jax.config.fields import children
from grpo_jax.run import typed
from grpo_jax.run.arguments import config_file
from grpo_jax.run.console import stripped
from grpo_jax.run.exits import in_one_line, leave, say, stop, unless_stopped, warn


def train(
  experiment: Experiment,
  workdir: str | None,
  profile: str = "",
  stages: Sequence[str] = (),
  population: int | None = None,
  vary: str = "",
  fault: str = "",
  tolerate_save_failures: int = 0,
  *,
  view: str = "auto",
  quiet: bool = False,
  trackers: Sequence[str] = (),
  tracker_project: str = "grpo_jax",
  tracker_group: str = "",
) -> None:
  """Runs or resumes the experiment in `workdir`, or a population of it.

  `profile`, `stages`, `fault` and `tolerate_save_failures` as in `run.loop.run`; `population` and
  `vary` set the fields of `experiment.population`; `view` and `quiet` as in `run.live.make_view`.
  """
  if not workdir:
    stop("--workdir is missing: name the folder of the run, as in --workdir=runs/first")
  from grpo_jax.run.compiled import keep_compiled
  from grpo_jax.run.live import make_view
  from grpo_jax.run.loop import run
  from grpo_jax.run.machine import check_devices
  from grpo_jax.run.members import set_population
  from grpo_jax.run.population import run_population
  from grpo_jax.run.stopping import StopError
  from grpo_jax.run.trackers import Tracking

  keep_compiled(warn)

  def start() -> None:
    set_population(experiment, population, vary)
    if experiment.population.size > 1:
      _one_device_a_core()
    check_devices(warn)
    own: dict[str, Any] = {
      "profile": profile,
      "fault": fault,
      "tolerate_save_failures": tolerate_save_failures,
    }
    if experiment.population.size > 1 and any(own.values()):
      raise ConfigError(
        "--profile, --inject_fault and --tolerate_save_failures are of a run by itself: not of a"
        " population"
      )
    tracking = Tracking(trackers, tracker_project, tracker_group)
    told: dict[str, Any] = {"stages": stages, "tracking": tracking}
    names = list(experiment.stages)
    made = make_view(view, say, str(workdir), names, quiet=quiet)
    with contextlib.closing(made) as told["view"]:
      if experiment.population.size == 1:
        run(experiment, str(workdir), **own, **told)
      else:
        run_population(experiment, str(workdir), **told)

  try:
    in_one_line(start)
  except StopError as stopped:
    leave(f"{stopped}, and saved; resume with: {typed.command()}", 128 + stopped.number)
  except KeyboardInterrupt:
    leave(f"stopped; from its newest checkpoint resume with: {typed.command()}", 130)


def distribute(
  wanted: bool,
  address: str | None,
  count: int | None,
  index: int | None,
  heartbeat_timeout_s: int,
) -> None:
  """Joins the other processes, where there are any; arguments as of `parallel.cluster.start`."""
  if not wanted:
    given = {"coordinator_address": address, "process_count": count, "process_index": index}
    for name, value in given.items():
      if value is not None:
        stop(f"--{name}={value} is of --distributed")
    return
  from grpo_jax.parallel import cluster

  in_one_line(lambda: cluster.start(address, count, index, heartbeat_timeout_s))


def export(
  experiment: Experiment | None, workdir: str, out: str, which: str, *, adapter: bool = False
) -> None:
  """Writes a checkpoint of a run as a model folder, or its adapters alone."""
  from grpo_jax.run.export import export

  label = in_one_line(lambda: export(experiment, workdir, out, which, adapter=adapter))
  what = "an adapter" if adapter else "a model"
  say(f"checkpoint {label} of {workdir} is {what} in {out}")


def print_sharding(experiment: Experiment) -> None:
  """Prints how a mesh would split each parameter; its devices need not be there."""
  from grpo_jax.parallel import table
  from grpo_jax.run.policy import load_policy

  def rows() -> str:
    check(experiment)
    return table(experiment.parallel, load_policy(experiment).network.abstract())

  say(in_one_line(rows))


def plan(experiment: Experiment, **asked: Any) -> None:
  """Prints what the experiment would need and take; `asked` as in `run.planning.report`."""
  from grpo_jax.run.planning import report

  for line in in_one_line(lambda: report(experiment, **asked)):
    say(line)


def sweep(
  experiment: Experiment,
  argv: Sequence[str],
  asked: dict[str, Any],
  launcher: str = "local",
  slurm: str = "",
  dry_run: bool = False,
) -> NoReturn:
  """Runs a sweep, or submits it to Slurm; `asked` are fields of `sweep.options.Options`."""
  from grpo_jax.run.trackers import Tracking, check_trackers
  from grpo_jax.sweep.command import overrides
  from grpo_jax.sweep.launch import run
  from grpo_jax.sweep.options import Options
  from grpo_jax.sweep.slurm import submit

  if launcher == "local" and (slurm or dry_run):
    stop("--slurm and --dry_run are of --launcher=slurm")
  file, chosen = config_file(argv)
  file = ":".join([str(file), *chosen])
  options = Options(experiment=experiment, file=file, overrides=overrides(argv), **asked)
  if launcher == "slurm":
    raise SystemExit(in_one_line(lambda: submit(options, slurm, dry_run, say)))
  in_one_line(lambda: check_trackers(Tracking(options.tracker)))  # before any trial fails for it
  raise SystemExit(in_one_line(lambda: run(options, say)))


def report(paths: Sequence[str], **asked: Any) -> None:
  """Prints what a sweep, a few runs or one have found; arguments as of `report.report.report`."""
  from grpo_jax.report.report import report
  from grpo_jax.run.health import diagnose

  for line in in_one_line(lambda: report(paths, diagnose=diagnose, **asked)):
    say(stripped(line))


def doctor(paths: Sequence[str]) -> None:
  """Prints what was wrong with runs, by `run.doctor.examine`."""
  from grpo_jax.run.doctor import examine

  if not paths:
    stop("name a run folder, as in python -m experiments.doctor runs/first")
  for path in paths:
    for line in in_one_line(functools.partial(examine, path)):
      say(stripped(line))


def evaluate(
  experiment: Experiment | None,
  workdir: str | None,
  out: str,
  k: Sequence[str],
  asked: dict[str, Any],
) -> None:
  """Prints and writes what a checkpoint can do; `asked` are fields of `run.assessment.Asked`."""
  from grpo_jax.run.assessment import Asked, evaluate
  from grpo_jax.run.compiled import keep_compiled
  from grpo_jax.run.machine import check_devices
  from grpo_jax.run.standing import table

  keep_compiled(warn)

  def found() -> dict[str, Any]:
    check_devices(warn)
    if not all(one.strip().isdecimal() for one in k):
      raise ConfigError(f"--k={','.join(k)}: expected numbers, as in --k=1,4,16")
    own = Asked(k=tuple(map(int, k)), **asked)
    return evaluate(experiment, workdir, own, say, out)

  for line in table(unless_stopped(found)):
    say(line)


def generate(experiment: Experiment | None, workdir: str | None, **asked: Any) -> None:
  """Talks in the terminal, or answers once; `asked` as in `run.generate.generate`."""
  from grpo_jax.run.compiled import keep_compiled
  from grpo_jax.run.generate import generate
  from grpo_jax.run.machine import check_devices

  keep_compiled(warn)

  def talk() -> None:
    check_devices(warn)
    generate(experiment, workdir, say=say, warn=warn, **asked)

  unless_stopped(talk)


def replay(paths: Sequence[str]) -> NoReturn:
  """Takes a step again that a run has kept; exits with 1 where it is finite now."""
  from grpo_jax.run.compiled import keep_compiled
  from grpo_jax.run.replay import replay

  if len(paths) != 1:
    stop("name one kept step, as in python -m experiments.replay runs/first/bad/grpo/12")
  keep_compiled(warn)
  raise SystemExit(not in_one_line(lambda: replay(paths[0], say)))


def describe(experiment: Experiment) -> None:
  """Prints every field as the flag that sets it."""
  try:
    check(experiment)
  except ConfigError as error:
    stop(str(error))
  for line in _described(experiment, "--config"):
    say(line)


def _described(config: Any, path: str) -> list[str]:
  below = children(config)
  if not below:
    return [f"{path}={config!r}"]
  return [line for name, child in below.items() for line in _described(child, f"{path}.{name}")]


def _one_device_a_core() -> None:
  """Without an accelerator, members of a population are spread over the cores."""
  import jax

  if "host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))
