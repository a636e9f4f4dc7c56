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
from grpo_jax.rewards import resolve
from grpo_jax.run import console
from grpo_jax.run.checkpoint import Checkpointer
from grpo_jax.run.evaluate import Evaluate, make_evaluate
from grpo_jax.run.figures import memory_figures
from grpo_jax.run.grpo import filter_notice, make_grpo_runner
from grpo_jax.run.picture import learning_curve
from grpo_jax.run.policy import load_policy
from grpo_jax.run.record import claim
from grpo_jax.run.sft import make_sft_runner
from grpo_jax.run.stage import Outcome, Runner, Setting
from grpo_jax.run.writer import Writer
from grpo_jax.types import Params, TrainState

# Steps between the prompts that are shown with their best and worst answer.
_SHOW_EVERY = 10


def run(
  experiment: Experiment, workdir: str, *, say: Callable[[str], None] = print
) -> dict[str, float]:
  """Runs what is left of an experiment in `workdir`; the same call resumes it.

  Args:
    experiment: checked and frozen here.
    workdir: the run folder; made if it is not there.
    say: takes the lines meant for a person.

  Returns:
    The figures of the last evaluation, and those of the first as "before/...".

  Raises:
    ConfigError: one line on what cannot be run, before anything is compiled.
  """
  check(experiment)
  # What is cheap to refuse comes first: data and rewards before the model.
  task = tasks.build(experiment.task)
  examples = task.held_out(experiment.evaluation.problems)
  for name in reward_names(experiment):
    resolve(name)
  with claim(workdir, experiment):
    freeze(experiment)
    policy = load_policy(experiment)
    check_context(experiment, policy.network.architecture.context_length)
    devices = make_devices(experiment.parallel)
    setting = Setting(experiment, 0, policy.network, policy.tokenizer, task, devices)
    evaluate = make_evaluate(
      experiment.evaluation, policy.network, policy.tokenizer, examples, devices
    )
    this = _Run(setting, evaluate, workdir, say)
    try:
      this.stages(policy.params)
    finally:
      this.close()
  return this.finish()


def reward_names(experiment: Experiment) -> list[str]:
  """Every reward that the experiment asks for."""
  stages = [stage for stage in experiment.stages.values() if isinstance(stage, GRPO)]
  return [experiment.evaluation.reward, *(name for stage in stages for name in stage.rewards)]


def check_context(experiment: Experiment, context: int) -> None:
  """Refuses answers that leave no room for a prompt.

  Raises:
    ConfigError: names the field.
  """
  lengths = {"evaluation.max_tokens": experiment.evaluation.max_tokens}
  for name, stage in experiment.stages.items():
    if isinstance(stage, GRPO):
      lengths[f"stages.{name}.rollout.max_tokens"] = stage.rollout.max_tokens
    else:
      lengths[f"stages.{name}.max_tokens"] = stage.max_tokens
  for name, tokens in lengths.items():
    if tokens >= context:
      raise ConfigError(
        f"config.{name}={tokens}: the model's context is {context}, with the prompt"
      )


class _Run:
  """The files of a run, and its place among the stages."""

  def __init__(self, setting: Setting, evaluate: Evaluate, workdir: str, say: Callable):
    self.setting, self.evaluate, self.workdir, self.say = setting, evaluate, workdir, say
    self.config = setting.experiment
    self.checkpoints = Checkpointer(workdir, self.config.checkpoint)
    self.done = self.checkpoints.latest() or 0
    names = list(self.config.stages)
    stage, step = _position(self.config, self.done)
    self.writer = Writer(workdir, names, names[stage] if self.done else None, step)
    self.last: dict[str, float] = {}

  def stages(self, params: Params) -> None:
    """Runs the stages that are left, each from the parameters of the one before."""
    at, step = _position(self.config, self.done)
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
    for step in range(first, stage.steps):
      outcome = runner.advance(state, step)
      state, now = outcome.state, step + 1
      left = (time.monotonic() - started) / (now - first) * (stage.steps - now)
      self._told(name, now, stage.steps, outcome, left)
      every = self.config.evaluation.every
      last = now == stage.steps
      due = last or (every > 0 and now % every == 0)
      accuracy = self._evaluated(name, now, state) if due else None
      if last or now % self.config.checkpoint.every == 0:
        self.checkpoints.save(number + now, devices.first(state), accuracy)
    self.done = number + stage.steps
    return devices.first(state.params)

  def _started(
    self, setting: Setting, name: str, stage: SFT | GRPO, params: Params, step: int
  ) -> tuple[Runner, TrainState]:
    """The stage's runner and its state at `step`, from the checkpoint if there is one."""
    if isinstance(stage, SFT):
      runner = make_sft_runner(setting, stage)
    else:
      if notice := filter_notice(stage.rollout):
        self.say(f"{name}: {notice}")
      needed = stage.loss.kl_coefficient > 0
      reference = self.checkpoints.reference(name, params) if needed else None
      runner = make_grpo_runner(setting, stage, reference)
    if step:
      state = self.checkpoints.restore(self.done, jax.eval_shape(runner.init, params))
    else:
      state = runner.init(params)
    return runner, setting.devices.replicate(state)

  def _told(self, name: str, step: int, steps: int, outcome: Outcome, left: float) -> None:
    """Writes a step down, and says it."""
    self.writer.write_metrics(name, step, outcome.figures | memory_figures())
    if outcome.samples:
      self.writer.write_samples(name, step, outcome.samples)
      if step % _SHOW_EVERY == 1:
        sample = outcome.samples[0]
        names = ("prompt", "completions", "rewards", "advantages")
        self.say(console.sample_block(*(sample[key] for key in names)))
    self.say(console.step_line(name, step, steps, outcome.figures, left))

  def _evaluated(self, name: str, step: int, state: TrainState) -> float:
    """Held-out accuracy of a state, written down and said."""
    figures = self.evaluate(state.params)
    self.writer.write_metrics(name, step, figures)
    accuracy, problems = figures["eval/accuracy"], int(figures["eval/problems"])
    self.say(console.evaluation_line(name, step, accuracy, problems))
    self.last = figures
    return accuracy

  def close(self) -> None:
    """Waits until all files are complete."""
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


def _position(experiment: Experiment, done: int) -> tuple[int, int]:
  """The stage's index and the steps done in it, after `done` steps of all stages.

  At a boundary it is the end of the earlier stage, whose parameters the checkpoint holds.
  """
  lengths = [stage.steps for stage in experiment.stages.values()]
  for index, steps in enumerate(lengths):
    if done <= steps:
      return index, done
    done -= steps
  raise ConfigError(f"the newest checkpoint is {done} steps past the end of the experiment")


def _lines(path: str) -> list[dict[str, Any]]:
  with open(path, encoding="utf-8") as file:
    return [json.loads(line) for line in file]
