"""A run: the stages of an experiment in order, from the newest checkpoint on."""

import dataclasses
import json
import os
import time
from collections.abc import Callable
from typing import Any

import jax

from grpo_jax import tasks
from grpo_jax.config import GRPO, SFT, ConfigError, Experiment, check, freeze
from grpo_jax.parallel import make_devices
from grpo_jax.run import console
from grpo_jax.run.checkpoint import Checkpointer
from grpo_jax.run.checks import check_batches, check_context, check_rewards
from grpo_jax.run.evaluate import Evaluate, make_evaluate
from grpo_jax.run.figures import memory_figures
from grpo_jax.run.grpo import make_grpo_runner
from grpo_jax.run.notices import notices
from grpo_jax.run.picture import learning_curve
from grpo_jax.run.policy import load_policy
from grpo_jax.run.profile import Profile
from grpo_jax.run.program import make_program_runner
from grpo_jax.run.record import claim
from grpo_jax.run.sft import make_sft_runner
from grpo_jax.run.stage import Runner, Setting, Told
from grpo_jax.run.writer import Writer
from grpo_jax.types import Params, TrainState

# Steps between the prompts that are shown with their best and worst answer.
_SHOW_EVERY = 10
# Updates with a gradient that is not finite are skipped; as many in a row end the run.
_MOST_BAD = 3


def run(
  experiment: Experiment, workdir: str, *, say: Callable[[str], None] = print, profile: str = ""
) -> dict[str, float]:
  """Runs what is left of an experiment in `workdir`; the same call resumes it.

  Args:
    experiment: checked and frozen here.
    workdir: the run folder; made if it is not there.
    say: takes the lines meant for a person.
    profile: "START:STOP", the steps to write a profiler trace of; empty for none.

  Returns:
    accuracy/before and accuracy/after, of the first and the last evaluation.

  Raises:
    ConfigError: one line on what cannot be run, before anything is compiled.
    RuntimeError: nothing can be learned: no answer can be scored, or gradients are not finite.
  """
  check(experiment)
  trace = Profile(profile, experiment, workdir)
  # What is cheap to refuse comes first: data and rewards before the model.
  task = tasks.build(experiment.task)
  examples = task.held_out(experiment.evaluation.problems)
  check_rewards(experiment)
  with claim(workdir, experiment):
    freeze(experiment)
    policy = load_policy(experiment)
    check_context(experiment, policy.network.architecture.context_length)
    devices = make_devices(experiment.parallel)
    check_batches(experiment, devices)
    setting = Setting(experiment, 0, policy.network, policy.tokenizer, task, devices)
    evaluate = make_evaluate(
      experiment.evaluation, policy.network, policy.tokenizer, examples, devices
    )
    this = _Run(setting, evaluate, workdir, say, trace)
    try:
      this.stages(policy.params)
    finally:
      this.close()
  return this.finish()


class _Run:
  """The files of a run, and its place among the stages."""

  def __init__(
    self, setting: Setting, evaluate: Evaluate, workdir: str, say: Callable, trace: Profile
  ):
    self.setting, self.evaluate, self.workdir, self.say = setting, evaluate, workdir, say
    self.trace = trace
    self.config = setting.experiment
    self.checkpoints = Checkpointer(workdir, self.config.checkpoint)
    self.done = self.checkpoints.latest() or 0
    names = list(self.config.stages)
    stage, step = position(self.config, self.done)
    self.writer = Writer(workdir, names, names[stage] if self.done else None, step)
    self.bad = 0  # steps in a row whose gradient was not finite

  def stages(self, params: Params) -> None:
    """Runs the stages that are left, each from the parameters of the one before."""
    at, step = position(self.config, self.done)
    if self.done:
      self.say(f"resuming {list(self.config.stages)[at]} after step {step}")
    for index, (name, stage) in enumerate(self.config.stages.items()):
      if index < at:
        continue
      params = self._stage(index, name, stage, params, step if index == at else 0)

  def _stage(self, index: int, name: str, stage: SFT | GRPO, params: Params, step: int) -> Params:
    """One stage, from `step` on: parameters -> parameters."""
    setting = dataclasses.replace(self.setting, index=index)
    devices, number = setting.devices, self.done - step
    runner, state = self._started(setting, name, stage, params, step)
    if index == 0 and step == 0:
      self._evaluated(name, 0, state)
    started, first = time.monotonic(), step
    waiting: list[tuple[int, Told]] = []
    for step in range(first, stage.steps, runner.stride):
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
      accuracy = self._evaluated(name, now, state) if due else None
      if kept:
        self.checkpoints.save(number + now, devices.first(state), accuracy)
    self.done = number + stage.steps
    return devices.first(state.params)

  def _due(self, stage: SFT | GRPO, now: int) -> tuple[bool, bool]:
    """Whether a state after `now` steps of a stage is to be evaluated, and whether to be saved."""
    every = self.config.evaluation.every
    due = now == stage.steps or (every > 0 and now % every == 0)
    return due, due or now % self.config.checkpoint.every == 0

  def _started(
    self, setting: Setting, name: str, stage: SFT | GRPO, params: Params, step: int
  ) -> tuple[Runner, TrainState]:
    """The stage's runner and its state at `step`, from the checkpoint if there is one."""
    if isinstance(stage, SFT):
      runner = make_sft_runner(setting, stage)
    else:
      for notice in notices(stage):
        self.say(f"{name}: {notice}")
      needed = stage.loss.kl_coefficient > 0
      reference = self.checkpoints.reference(name, params) if needed else None
      if stage.steps_per_program > 1:
        runner = make_program_runner(setting, stage)
      else:
        runner = make_grpo_runner(setting, stage, reference, self.writer.samples(name))
    if step:
      state = self.checkpoints.restore(self.done, jax.eval_shape(runner.init, params))
    else:
      state = runner.init(params)
    return runner, setting.devices.replicate(state)

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

  def _evaluated(self, name: str, step: int, state: TrainState) -> float:
    """Held-out accuracy of a state, written down and said."""
    figures = self.evaluate(state.params)
    self.writer.write_metrics(name, step, figures)
    accuracy, problems = figures["eval/accuracy"], int(figures["eval/problems"])
    self.say(console.evaluation_line(name, step, accuracy, problems))
    return accuracy

  def close(self) -> None:
    """Waits until all files are complete."""
    self.trace.close()
    self.writer.close()
    self.checkpoints.close()

  def finish(self) -> dict[str, float]:
    """Draws the curve, and says how it went and what to type next."""
    metrics = os.path.join(self.workdir, "metrics.jsonl")
    evaluations = [line for line in _lines(metrics) if "eval/accuracy" in line]
    before, after = evaluations[0]["eval/accuracy"], evaluations[-1]["eval/accuracy"]
    picture: str | None = os.path.join(self.workdir, "learning_curve.png")
    try:
      learning_curve(metrics, str(picture))
    except ImportError as error:
      self.say(str(error))
      picture = None
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
