"""A run: what is checked first, the stages, and how it ends."""

import contextlib
import dataclasses
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grpo_jax import tasks
from grpo_jax.config import ConfigError, Experiment, Stage, check, freeze
from grpo_jax.isolated.pool import make_workers
from grpo_jax.parallel import AnyDevices, make_devices, parting, processes
from grpo_jax.report.lines import every
from grpo_jax.report.run_report import NAME, run_report
from grpo_jax.run import console, memory, record, stopping
from grpo_jax.run.between import check_templates
from grpo_jax.run.bound import check_tokenizer
from grpo_jax.run.checks import (
  check_batches,
  check_chosen,
  check_context,
  check_rewards,
  check_stages,
)
from grpo_jax.run.corpus import check_texts
from grpo_jax.run.drill import check_drill, spoiler, with_drill
from grpo_jax.run.evaluate import make_evaluate
from grpo_jax.run.health import diagnose
from grpo_jax.run.own_rewards import reward_files
from grpo_jax.run.pairs import pairs_left_out
from grpo_jax.run.picture import learning_curve
from grpo_jax.run.policy import Policy, load_policy
from grpo_jax.run.profile import Profile
from grpo_jax.run.record import claim
from grpo_jax.run.stage import Setting
from grpo_jax.run.stages import Stages
from grpo_jax.run.stopping import Asked
from grpo_jax.run.tolerance import Tolerance
from grpo_jax.run.trackers import UNTRACKED, Tracking, check_trackers
from grpo_jax.run.view import Plain, View, unheard
from grpo_jax.stop import best_at
from grpo_jax.tasks import Example, Task


@dataclasses.dataclass(frozen=True)
class Shared:
  """What members of a population share: devices of each, and the policy that all begin with.

  policy: None where each draws its own from its seed. asked: as of `stopping.watching`.
  """

  devices: AnyDevices
  policy: Policy | None
  asked: Asked


def run(
  experiment: Experiment,
  workdir: str,
  *,
  say: Callable[[str], None] = print,
  view: View | None = None,
  profile: str = "",
  stages: Sequence[str] = (),
  shared: Shared | None = None,
  fault: str = "",
  tolerate_save_failures: int = 0,
  tracking: Tracking = UNTRACKED,
) -> dict[str, float]:
  """Runs what is left of an experiment in `workdir`; the same call resumes it.

  Args:
    experiment: checked and frozen here.
    workdir: the run folder; made if it is not there.
    say: takes the lines meant for a person, where there is no view.
    view: takes what there is to tell, as the lines or otherwise.
    profile: "START:STOP", the steps to write a profiler trace of; empty for none.
    stages: names of those to run, in the experiment's order; empty for all.
    shared: what a member of a population has with the others; a run by itself has None.
    fault: FAULT:PLACE@N of a drill, see `drill.parse`; empty for none.
    tolerate_save_failures: how many in a row the run goes on after.
    tracking: the trackers that are given the figures too.

  Of several processes all call it alike; the first says and writes what there is. SIGTERM and
  SIGINT end it after what is in work, with its state saved.

  Returns:
    accuracy/before and accuracy/after, of the first policy and of the last; empty where none has
    been evaluated, as by a reward model alone.

  Raises:
    ConfigError: one line on what cannot be run, before anything is compiled.
    RuntimeError: nothing can be learned: no answer can be scored, or gradients are not finite.
    StopError: a signal has asked it to stop.
  """
  view = (view or Plain(say)) if processes.index() == 0 else unheard()
  workdir = os.path.abspath(workdir)  # whatever changes the process's folder later
  with processes.together():
    check(experiment)
    _check_alone(experiment, tolerate_save_failures)
    check_chosen(experiment, stages)
    trace = Profile(profile, experiment, workdir)
    if fault:
      check_drill(fault, experiment)
    task, examples, notes = _data(experiment)
    check_trackers(tracking)
    for line in notes:
      view.say(line)
  watch = contextlib.nullcontext(shared.asked) if shared else stopping.watching()
  with claim(workdir, experiment), parting.guard(), watch as asked:
    freeze(experiment)
    policy = _policy(experiment, workdir, shared, view.warning)
    setting = _setting(experiment, workdir, policy, task, shared, asked, fault)
    evaluate = make_evaluate(setting, examples)
    tolerance = Tolerance(tolerate_save_failures, view.warning)
    whole = False
    with contextlib.ExitStack() as closing:  # the last one first
      course = Stages(setting, evaluate, view, trace, asked, tolerance, tracking)
      closing.callback(lambda: course.close(whole=whole))
      if setting.workers is not None:
        closing.callback(setting.workers.close)
      if course.done and processes.index() == 0:
        for line in record.moved(workdir) + record.rewritten(workdir, experiment):
          view.warning(line)
      # Before files are closed, for which all wait.
      with parting.guard(), memory.explained(experiment, policy):
        course.run(policy.params, stages or list(experiment.stages))
      whole = True
    processes.agree(True)  # that all files are there
  return _finish(experiment, workdir, view, draw=shared is None)


def _check_alone(experiment: Experiment, tolerated: int) -> None:
  """Refuses what is of a run by itself, or in one process, elsewhere."""
  if experiment.population.size > 1:
    raise ConfigError(
      f"config.population.size={experiment.population.size}: its members are run by"
      " run.population.run_population, as experiments.train does"
    )
  if tolerated and processes.count() > 1:
    raise ConfigError("--tolerate_save_failures is of a run in one process: others would wait")


def _data(experiment: Experiment) -> tuple[Task, list[Example], list[str]]:
  """The task, what is held out, and lines on rows of stages' files that were left out.

  What is cheap to refuse comes first, before the model.
  """
  task = tasks.build(experiment.task)
  examples = task.held_out(experiment.evaluation.problems)
  check_rewards(experiment)
  notes = check_texts(experiment)
  check_stages(experiment, task)
  return task, examples, notes + pairs_left_out(experiment)


def _policy(
  experiment: Experiment, workdir: str, shared: Shared | None, warn: Callable[[str], None]
) -> Policy:
  """What the run begins with, once its tokenizer, context and memory are known to fit."""
  with processes.together():
    policy = (shared and shared.policy) or load_policy(experiment)
  check_tokenizer(workdir, policy.tokenizer)
  check_context(experiment, policy.network.architecture.context_length)
  check_templates(experiment, policy.tokenizer)
  if shared is None:
    memory.foresee(experiment, policy, warn)
  return policy


def _setting(
  experiment: Experiment,
  workdir: str,
  policy: Policy,
  task: Task,
  shared: Shared | None,
  asked: Asked,
  fault: str,
) -> Setting:
  """What the first stage has to work with; `Stages` puts in what others have of their own."""
  devices = shared.devices if shared else make_devices(experiment.parallel)
  check_batches(experiment, devices)
  log = os.path.join(workdir, "rewards.log")
  return Setting(
    *(experiment, 0, devices.network(policy.network), policy.tokenizer, task, devices, workdir),
    pause=with_drill(fault, _pause(asked, alone=shared is None)),
    spoil=spoiler(fault),
    workers=make_workers(experiment.scoring, log, reward_files(experiment)),
  )


def _pause(asked: Asked, *, alone: bool) -> Callable[[str], None]:
  """Several processes, and members of a population, can leave together after a step only."""
  return stopping.pause(asked) if alone and processes.count() == 1 else stopping.no_pause


def _finish(experiment: Experiment, workdir: str, view: View, *, draw: bool) -> dict[str, float]:
  """Draws the curve, writes the page, and says how it went and what to type next."""
  metrics = os.path.join(workdir, "metrics.jsonl")
  evaluations = going_on(experiment.stages, list(every(metrics)))
  ends = [evaluations[at]["eval/accuracy"] for at in (0, -1)] if evaluations else None
  found = {} if ends is None else {"accuracy/before": ends[0], "accuracy/after": ends[1]}
  if processes.index():
    return found
  picture = os.path.join(workdir, "learning_curve.png") if draw else None
  try:
    if picture:
      learning_curve(metrics, picture)
  except ImportError as error:
    view.warning(str(error))
    picture = None
  if len(experiment.stages) > 1 and evaluations:
    view.closing(console.stage_table(evaluations, experiment.evaluation.scores))
  view.closing(console.closing(workdir, ends, picture, _page(workdir, view.warning, draw=draw)))
  return found


def _page(workdir: str, warn: Callable[[str], None], *, draw: bool) -> str | None:
  """Writes report.html, and where it is; None where none is to be drawn, or it has failed."""
  path = os.path.join(workdir, NAME)
  if not draw:
    return None
  try:
    run_report(workdir, diagnose, out=path)
  except Exception as error:  # whatever is wrong with the page, the run is over all the same
    said = " ".join(f"{type(error).__name__}: {error}".split())
    warn(f"warning: {NAME} is not written: {said}")
    return None
  return path


def going_on(
  stages: Mapping[str, Stage], lines: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
  """The evaluations of the policies that each stage began and ended with.

  With stop.patience a stage ends with its best, not its last. Reward models have no accuracy.
  """
  found = []
  for name, stage in stages.items():
    own = [n for n in lines if n["stage"] == name and n.get("eval/accuracy") is not None]
    found += [line for line in own if line["step"] == 0]
    own = [line for line in own if line["step"]]
    if stage.stop.patience:
      values = [line.get(stage.stop.figure) for line in own]
      numbers = [math.nan if value is None else value for value in values]
      own = own[: best_at(stage.stop, numbers) + 1]
    found += own[-1:]
  return found
