"""From the command line to a run: errors that a person can mend are one line, and exit with 2."""

import contextlib
import functools
import logging
import os
import re
import runpy
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from absl import flags
from absl import logging as absl_logging

from grpo_jax.config import ConfigError, Experiment, check
from grpo_jax.config.fields import children, unknown_field
from grpo_jax.run import shipped, typed
from grpo_jax.run.console import stripped


def parse_flags(argv: Sequence[str]) -> list[str]:
  """absl's flags; an override of a field that is not there names the nearest one."""
  file, chosen = _config_file(argv)
  if file is not None and not os.path.isfile(file):
    known = ", ".join(shipped.names())
    _stop(f"--config={file}: there is no such file; what comes with the package: {known}")
  if file is not None:
    _experiment(file, chosen)  # absl would show its errors as a traceback
    argv = _with_file(argv, ":".join([file, *chosen]))
  try:
    return flags.FLAGS(list(argv))
  except (KeyError, AttributeError, TypeError, ValueError, ConfigError, flags.Error) as error:
    said = " ".join(str(error).split())
    if "flag --config=None" in said:
      _stop("--config is missing: name an experiment, as in --config=tiny_arithmetic")
    _stop(_unknown_override(argv) or f"a flag cannot be read: {said} (--helpshort lists them)")


def parse_only_flags(argv: Sequence[str]) -> list[str]:
  """As `parse_flags`, of a command that takes no words: forgotten dashes are refused."""
  left = parse_flags(argv)
  for word in left[1:]:
    known = re.match(r"(\w+)", word)
    if re.match(r"(no)?config\.", word) or (known and known[1] in flags.FLAGS):
      hint = f": did you mean --{word}?"
    elif os.path.isdir(word) and "workdir" in flags.FLAGS:
      hint = f": did you mean --workdir={word}?"
    else:
      hint = f": did you mean --prompt={word!r}?" if "prompt" in flags.FLAGS else ""
    _stop(f"{word!r} is no flag{hint}")
  return left


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
) -> None:
  """Runs or resumes the experiment in `workdir`, or a population of it.

  `profile`, `stages`, `fault` and `tolerate_save_failures` as in `run.loop.run`; `population` and
  `vary` set the fields of `experiment.population`; `view` and `quiet` as in `run.live.make_view`.
  """
  if not workdir:
    _stop("--workdir is missing: name the folder of the run, as in --workdir=runs/first")
  from grpo_jax.run.compiled import keep_compiled
  from grpo_jax.run.live import make_view
  from grpo_jax.run.loop import run
  from grpo_jax.run.machine import check_devices
  from grpo_jax.run.members import set_population
  from grpo_jax.run.population import run_population
  from grpo_jax.run.stopping import StopError
  from grpo_jax.run.trackers import Tracking

  keep_compiled(_warn)

  def start() -> None:
    set_population(experiment, population, vary)
    if experiment.population.size > 1:
      _one_device_a_core()
    check_devices(_warn)
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
    told: dict[str, Any] = {"stages": stages, "tracking": Tracking(trackers, tracker_project)}
    names = list(experiment.stages)
    made = make_view(view, _say, str(workdir), names, quiet=quiet)
    with contextlib.closing(made) as told["view"]:
      if experiment.population.size == 1:
        run(experiment, str(workdir), **own, **told)
      else:
        run_population(experiment, str(workdir), **told)

  try:
    _in_one_line(start)
  except StopError as stopped:
    _leave(f"{stopped}, and saved; resume with: {typed.command()}", 128 + stopped.number)
  except KeyboardInterrupt:
    _leave(f"stopped; from its newest checkpoint resume with: {typed.command()}", 130)


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
        _stop(f"--{name}={value} is of --distributed")
    return
  from grpo_jax.parallel import cluster

  _in_one_line(lambda: cluster.start(address, count, index, heartbeat_timeout_s))


def export(
  experiment: Experiment, workdir: str, out: str, number: int | None, *, adapter: bool = False
) -> None:
  """Writes a checkpoint of a run as a model folder, or its adapters alone."""
  from grpo_jax.run.export import export

  number = _in_one_line(lambda: export(experiment, workdir, out, number, adapter=adapter))
  what = "an adapter" if adapter else "a model"
  _say(f"checkpoint {number} of {workdir} is {what} in {out}")


def print_sharding(experiment: Experiment) -> None:
  """Prints how a mesh would split each parameter; its devices need not be there."""
  from grpo_jax.parallel import table
  from grpo_jax.run.policy import load_policy

  def rows() -> str:
    check(experiment)
    return table(experiment.parallel, load_policy(experiment).network.abstract())

  _say(_in_one_line(rows))


def plan(experiment: Experiment, **asked: Any) -> None:
  """Prints what the experiment would need and take; `asked` as in `run.planning.report`."""
  from grpo_jax.run.planning import report

  for line in _in_one_line(lambda: report(experiment, **asked)):
    _say(line)


def sweep(
  experiment: Experiment,
  argv: Sequence[str],
  asked: dict[str, Any],
  launcher: str = "local",
  slurm: str = "",
  dry_run: bool = False,
) -> NoReturn:
  """Runs a sweep, or submits it to Slurm; `asked` are fields of `sweep.options.Options`."""
  from grpo_jax.sweep.command import overrides
  from grpo_jax.sweep.launch import run
  from grpo_jax.sweep.options import Options
  from grpo_jax.sweep.slurm import submit

  if launcher == "local" and (slurm or dry_run):
    _stop("--slurm and --dry_run are of --launcher=slurm")
  file, chosen = _config_file(argv)
  file = ":".join([str(file), *chosen])
  options = Options(experiment=experiment, file=file, overrides=overrides(argv), **asked)
  if launcher == "slurm":
    raise SystemExit(_in_one_line(lambda: submit(options, slurm, dry_run, _say)))
  raise SystemExit(_in_one_line(lambda: run(options, _say)))


def report(paths: Sequence[str], **asked: Any) -> None:
  """Prints what a sweep, a few runs or one have found; arguments as of `report.report.report`."""
  from grpo_jax.report.report import report
  from grpo_jax.run.health import diagnose

  for line in _in_one_line(lambda: report(paths, diagnose=diagnose, **asked)):
    _say(stripped(line))


def doctor(paths: Sequence[str]) -> None:
  """Prints what was wrong with runs, by `run.doctor.examine`."""
  from grpo_jax.run.doctor import examine

  if not paths:
    _stop("name a run folder, as in python -m experiments.doctor runs/first")
  for path in paths:
    for line in _in_one_line(functools.partial(examine, path)):
      _say(stripped(line))


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

  keep_compiled(_warn)

  def found() -> dict[str, Any]:
    check_devices(_warn)
    if not all(one.strip().isdecimal() for one in k):
      raise ConfigError(f"--k={','.join(k)}: expected numbers, as in --k=1,4,16")
    own = Asked(k=tuple(map(int, k)), **asked)
    return evaluate(experiment, workdir, own, _say, out)

  for line in table(_unless_stopped(found)):
    _say(line)


def generate(experiment: Experiment | None, workdir: str | None, **asked: Any) -> None:
  """Talks in the terminal, or answers once; `asked` as in `run.generate.generate`."""
  from grpo_jax.run.compiled import keep_compiled
  from grpo_jax.run.generate import generate
  from grpo_jax.run.machine import check_devices

  keep_compiled(_warn)

  def talk() -> None:
    check_devices(_warn)
    generate(experiment, workdir, say=_say, warn=_warn, **asked)

  _unless_stopped(talk)


def _unless_stopped(action: Callable[[], Any]) -> Any:
  """As `_in_one_line`, where Ctrl-C leaves nothing to resume."""
  try:
    return _in_one_line(action)
  except KeyboardInterrupt:
    _leave("stopped", 130)


def replay(paths: Sequence[str]) -> NoReturn:
  """Takes a step again that a run has kept; exits with 1 where it is finite now."""
  from grpo_jax.run.compiled import keep_compiled
  from grpo_jax.run.replay import replay

  if len(paths) != 1:
    _stop("name one kept step, as in python -m experiments.replay runs/first/bad/grpo/12")
  keep_compiled(_warn)
  raise SystemExit(not _in_one_line(lambda: replay(paths[0], _say)))


def _in_one_line(action: Callable[[], Any]) -> Any:
  """What `action` returns; an error meant for a person is one line, and ends the program."""
  # The compiler, jax and orbax log what only their developers can use; what fails is raised too.
  absl_logging.set_verbosity(absl_logging.WARNING)
  for name in ("absl", "asyncio"):
    logging.getLogger(name).setLevel(logging.CRITICAL)
  try:
    return action()
  except (ConfigError, ValueError, TypeError, RuntimeError, OSError) as error:
    if not isinstance(error, ConfigError) and not _is_own(error):
      raise
    _stop(str(error))


def describe(experiment: Experiment) -> None:
  """Prints every field as the flag that sets it."""
  try:
    check(experiment)
  except ConfigError as error:
    _stop(str(error))
  for line in _described(experiment, "--config"):
    _say(line)


def _described(config: Any, path: str) -> list[str]:
  below = children(config)
  if not below:
    return [f"{path}={config!r}"]
  return [line for name, child in below.items() for line in _described(child, f"{path}.{name}")]


def _config_file(argv: Sequence[str]) -> tuple[str | None, list[str]]:
  """The experiment file of --config=FILE, --config FILE or FILE:NAME, and [NAME] for get_config.

  A shipped one may be named alone, see `shipped.find`.
  """
  flags = re.findall(r"^--?config[=\n](.*)$", "\n".join(argv), flags=re.MULTILINE)
  if not flags:
    return None, []
  file, colon, name = flags[-1].partition(":")  # as ml_collections does
  return shipped.find(file), [name] if colon else []


def _with_file(argv: Sequence[str], path: str) -> list[str]:
  """The command line with `path` in place of what its last --config names."""
  words = list(argv)
  last = max(i for i, word in enumerate(words) if re.match(r"--?config(=|$)", word))
  if "=" in words[last]:
    words[last] = f"--config={path}"
  else:
    words[last + 1] = path
  return words


def _experiment(file: str, chosen: list[str]) -> Experiment:
  """What get_config(*chosen) of the file returns; stops with a line where it cannot be had."""
  path = ":".join([file, *chosen])
  try:
    found = runpy.run_path(file)
    if "get_config" not in found:
      _stop(f"--config={path}: the file has no function get_config()")
    return found["get_config"](*chosen)
  except ConfigError as error:
    _stop(f"--config={path}: {error}")
  except SyntaxError as error:
    _stop(f"--config={path}: line {error.lineno}: {error.msg}: {(error.text or '').strip()}")
  except OSError as error:
    _stop(f"--config={path}: {error.strerror or error}")
  except Exception as error:  # a name that the file does not know, or whatever else it does
    _stop(f"--config={path}: {type(error).__name__}: {' '.join(str(error).split())}")


def _unknown_override(argv: Sequence[str]) -> str | None:
  """The line about the first --config.a.b=... whose path does not exist, if there is one."""
  file, chosen = _config_file(argv)
  if file is None:
    return None
  config = _experiment(file, chosen)
  for argument in argv[1:]:
    match = re.match(r"--?(?:no)?config\.([^=]+)", argument)
    path, here = "config", config
    for name in match[1].split(".") if match else []:
      known = children(here)
      if here is None:
        return f"{argument}: {path} is None, so it has no fields: set it in {file}"
      if name not in known:
        return unknown_field(f"{argument}: {path}", name, known)
      path, here = f"{path}.{name}", known[name]
  return None


def _is_own(error: BaseException) -> bool:
  """Whether the error was raised by this package's own code, as a line for a person."""
  frame = error.__traceback__
  while frame is not None and frame.tb_next is not None:
    frame = frame.tb_next
  module = frame.tb_frame.f_globals.get("__name__", "") if frame else ""
  return module.startswith("grpo_jax.")


def _one_device_a_core() -> None:
  """Without an accelerator, members of a population are spread over the cores."""
  import jax

  if "host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))


def _say(line: str) -> None:
  print(line, flush=True)


def _warn(line: str) -> None:
  print(line, file=sys.stderr, flush=True)


def _stop(line: str) -> NoReturn:
  _leave(f"error: {line}", 2)


def _leave(line: str, code: int) -> NoReturn:
  print(line, file=sys.stderr, flush=True)
  raise SystemExit(code)
