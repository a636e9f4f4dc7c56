"""A run: the stages of an experiment in order, from the newest checkpoint on."""

import dataclasses
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax

from grpo_jax import tasks
from grpo_jax.config import GRPO, ConfigError, Experiment, Stage, check, freeze
from grpo_jax.parallel import make_devices
from grpo_jax.run import console
from grpo_jax.run.checkpoint import Checkpointer
from grpo_jax.run.checks import check_batches, check_chosen, check_context, check_rewards
from grpo_jax.run.corpus import check_texts
from grpo_jax.run.evaluate import Evaluate, make_evaluate
from grpo_jax.run.figures import memory_figures
from grpo_jax.run.kinds import make_runner
from grpo_jax.run.notices import notices
from grpo_jax.run.picture import learning_curve
from grpo_jax.run.policy import load_policy
from grpo_jax.run.profile import Profile
from grpo_jax.run.record import claim
from grpo_jax.run.stage import Runner, Setting, Told
from grpo_jax.run.stop import is_over
from grpo_jax.run.switch import kept_moments, reference_of
from grpo_jax.run.writer import Writer
from grpo_jax.types import Params, TrainState

# Steps between the prompts that are shown with their best and worst answer.
_SHOW_EVERY = 10
# Updates with a gradient that is not finite are skipped; as many in a row end the run.
_MOST_BAD = 3


def run(
  experiment: Experiment,
  workdir: str,
  *,
  say: Callable[[str], None] = print,
  profile: str = "",
  stages: Sequence[str] = (),
) -> dict[str, float]:
  """Runs what is left of an experiment in `workdir`; the same call resumes it.

  Args:
    experiment: checked and frozen here.
    workdir: the run folder; made if it is not there.
    say: takes the lines meant for a person.
    profile: "START:STOP", the steps to write a profiler trace of; empty for none.
    stages: names of those to run, in the experiment's order; empty for all.

  Returns:
    accuracy/before and accuracy/after, of the first and the last evaluation.

  Raises:
    ConfigError: one line on what cannot be run, before anything is compiled.
    RuntimeError: nothing can be learned: no answer can be scored, or gradients are not finite.
  """
  check(experiment)
  check_chosen(experiment, stages)
  trace = Profile(profile, experiment, workdir)
  # What is cheap to refuse comes first: data and rewards before the model.
  task = tasks.build(experiment.task)
  examples = task.held_out(experiment.evaluation.problems)
  check_rewards(experiment)
  check_texts(experiment)
  with claim(workdir, experiment):
    freeze(experiment)
    policy = load_policy(experiment)
    check_context(experiment, policy.network.architecture.context_length)
    devices = make_devices(experiment.parallel)
    check_batches(experiment, devices)
    setting = Setting(experiment, 0, policy.network, policy.tokenizer, task, devices, workdir)
    evaluate = make_evaluate(
      experiment.evaluation, policy.network, policy.tokenizer, examples, devices
    )
    this = _Run(setting, evaluate, say, trace)
    try:
      this.stages(policy.params, stages or list(experiment.stages))
    finally:
      this.close()
  return this.finish()


class _Run:
  """The files of a run, and its place among the stages."""

  def __init__(self, setting: Setting, evaluate: Evaluate, say: Callable, trace: Profile):
    self.setting, self.evaluate, self.say, self.trace = setting, evaluate, say, trace
    self.config, self.workdir = setting.experiment, setting.workdir
    self.checkpoints = Checkpointer(self.workdir, self.config.checkpoint)
    self.done = self.checkpoints.latest() or 0
    names = list(self.config.stages)
    stage, step = position(self.config, self.done)
    self.writer = Writer(self.workdir, names, names[stage] if self.done else None, step)
    self.bad = 0  # steps in a row whose gradient was not finite
    self.last: TrainState | None = None  # the state that the stage before ended with

  def stages(self, params: Params, chosen: Sequence[str]) -> None:
    """Runs those of the chosen stages that are left, each from the parameters of the one before."""
    at, step = position(self.config, self.done)
    names = list(self.config.stages)
    if self.done:
      self.say(f"resuming {names[at]} after step {step}")
      self._check_place(names[at], step, [names.index(name) > at for name in chosen], chosen)
    for index, (name, stage) in enumerate(self.config.stages.items()):
      resumed = self.done > 0 and index == at
      if index < at or (name not in chosen and not resumed):
        continue
      params = self._stage(index, name, stage, params, step if resumed else 0)

  def _check_place(
    self, name: str, step: int, later: Sequence[bool], chosen: Sequence[str]
  ) -> None:
    """Refuses to leave a stage that is not at its end."""
    if name in chosen or not any(later) or self._over(name, step):
      return
    raise ConfigError(
      f"--stages={','.join(chosen)}: stage {name!r} is at step {step} of"
      f" {self.config.stages[name].steps}: name it too, or another --workdir"
    )

  def _stage(self, index: int, name: str, stage: Stage, params: Params, step: int) -> Params:
    """One stage, from `step` on: parameters of the policy -> parameters of the policy."""
    own = self.setting.task if stage.task is None else tasks.build(stage.task)
    setting = dataclasses.replace(self.setting, index=index, task=own)
    devices, number = setting.devices, setting.steps_before
    runner = self._runner(setting, name, stage, params)
    if runner.policy is None:
      params = self.checkpoints.pinned("policy", name, params)
    state = devices.replicate(self._state(runner, stage, params, number, step))
    if number == step == 0:
      self._evaluated(name, 0, runner, state)
    started, first = time.monotonic(), step
    waiting: list[tuple[int, Told]] = []
    while not self._over(name, step):
      now = step + runner.stride
      self.trace.before(number + step, number + now)
      state, told = runner.advance(state, step)
      waiting.append((step, told))
      if self.trace.after(number + now, state):
        self.say(f"profile of steps up to {number + now} in {self.trace.folder}")
      due, kept = self._due(stage, now)
      # Programs of many steps are read while the next one runs.
      while len(waiting) > (runner.stride > 1 and not kept):
        spent = (time.monotonic() - started) / (now - first)
        self._tell(name, stage.steps, *waiting.pop(0), spent)
      accuracy = self._evaluated(name, now, runner, state) if due else None
      if kept:
        self.checkpoints.save(number + now, devices.first(state), accuracy)
      step = now
    if step < stage.steps:
      self.say(f"{name}: ends after step {step} of {stage.steps}, as its stop rule says")
    if runner.finish is not None:
      runner.finish(state)
    self.last = devices.first(state)
    return params if runner.policy is None else devices.first(runner.policy(state))

  def _over(self, name: str, step: int) -> bool:
    """Whether a stage ends after `step` steps."""
    stage = self.config.stages[name]
    if step >= stage.steps or not (stage.stop.held or stage.stop.patience):
      return step >= stage.steps
    lines = [line for line in self.writer.metrics(name) if stage.stop.figure in line]
    # Only after an evaluation: a resumed run must end where the first would have.
    if not lines or lines[-1]["step"] != step or step == 0:
      return False
    return is_over(stage.stop, [line[stage.stop.figure] for line in lines])

  def _due(self, stage: Stage, now: int) -> tuple[bool, bool]:
    """Whether a state after `now` steps of a stage is to be evaluated, and whether to be saved."""
    every = self.config.evaluation.every
    due = now == stage.steps or (every > 0 and now % every == 0)
    return due, due or now % self.config.checkpoint.every == 0

  def _runner(self, setting: Setting, name: str, stage: Stage, params: Params) -> Runner:
    """The stage's runner, with the reference that its KL needs."""
    reference = None
    if isinstance(stage, GRPO):
      for notice in notices(stage):
        self.say(f"{name}: {notice}")
      if stage.loss.kl_coefficient > 0:
        reference = self.checkpoints.pinned("reference", reference_of(self.config, name), params)
    return make_runner(setting, stage, reference, self.writer.samples(name))

  def _state(
    self, runner: Runner, stage: Stage, params: Params, number: int, step: int
  ) -> TrainState:
    """The stage's state after `step` steps, from the checkpoint if there is one."""
    if step:
      return self.checkpoints.restore(number + step, jax.eval_shape(runner.init, params))
    state = runner.init(params)
    if stage.switch.moments == "keep":
      state = state.replace(opt_state=kept_moments(self.last, state))  # type: ignore[attr-defined]
    return state

  def _tell(self, name: str, steps: int, done: int, told: Told, spent: float) -> None:
    """Writes the steps after `done` down, and says them; `spent` seconds were each."""
    outcomes = told()
    for step, outcome in enumerate(outcomes, start=done + 1):
      self._check_finite(name, step, outcome.figures)
      self.writer.write_metrics(name, step, outcome.figures | memory_figures())
      if outcome.samples:
        self.writer.write_samples(name, step, outcome.samples)
        if len(outcomes) > 1 or step % _SHOW_EVERY == 1:
          self.say(_sample(outcome.samples[0]))
      left = spent * (steps - step)
      self.say(console.step_line(name, step, steps, outcome.figures, left))

  def _check_finite(self, name: str, step: int, figures: dict[str, float]) -> None:
    """Stops a run that is destroyed; a single bad update is skipped, and counted."""
    self.bad = self.bad + 1 if figures["train/nonfinite"] else 0
    if self.bad == _MOST_BAD:
      raise RuntimeError(
        f"{name} step {step}: the gradient was not finite {self.bad} times in a row: a lower"
        " optimizer.lr, or model.dtype='float32', may help; metrics.jsonl shows since when"
      )

  def _evaluated(self, name: str, step: int, runner: Runner, state: TrainState) -> float | None:
    """Held-out figures of a state, written down and said; the accuracy, where there is one."""
    figures = {} if runner.judge is None else runner.judge(state)
    if runner.policy is not None:
      figures |= self.evaluate(runner.policy(state))
    stop = self.config.stages[name].stop
    if (stop.held or stop.patience) and stop.figure not in figures:
      known = ", ".join(sorted(figures))
      raise ConfigError(
        f"config.stages.{name}.stop.figure={stop.figure!r} is not evaluated: {known}"
      )
    self.writer.write_metrics(name, step, figures)
    self.say(console.evaluation_line(name, step, figures))
    return figures.get("eval/accuracy")

  def close(self) -> None:
    """Waits until all files are complete."""
    self.trace.close()
    self.writer.close()
    self.checkpoints.close()

  def finish(self) -> dict[str, float]:
    """Draws the curve, and says how it went and what to type next."""
    metrics = os.path.join(self.workdir, "metrics.jsonl")
    evaluations = [line for line in _lines(metrics) if "eval/accuracy" in line]
    before, after = (evaluations[at]["eval/accuracy"] for at in (0, -1))
    picture: str | None = os.path.join(self.workdir, "learning_curve.png")
    try:
      learning_curve(metrics, str(picture))
    except ImportError as error:
      self.say(str(error))
      picture = None
    if len(self.config.stages) > 1:
      self.say(console.stage_table(evaluations, self.config.evaluation.scores))
    self.say(console.closing(self.workdir, before, after, picture))
    return {"accuracy/before": before, "accuracy/after": after}


def position(experiment: Experiment, done: int) -> tuple[int, int]:
  """The stage's index and the steps done in it, after `done` steps of all stages.

  At a boundary it is the end of the earlier stage, whose parameters the checkpoint holds.
  """
  lengths = [stage.steps for stage in experiment.stages.values()]
  for index, steps in enumerate(lengths):
    if done <= steps:
      return index, done
    done -= steps
  raise ConfigError(f"the newest checkpoint is {done} steps past the end of the experiment")


def _sample(record: dict[str, Any]) -> str:
  names = ("prompt", "completions", "rewards", "advantages")
  return console.sample_block(*(record[name] for name in names))


def _lines(path: str) -> list[dict[str, Any]]:
  with open(path, encoding="utf-8") as file:
    return [json.loads(line) for line in file]
