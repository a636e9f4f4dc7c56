"""The stages of a run in order, from the newest checkpoint on."""

import dataclasses
import itertools
from collections.abc import Sequence

import jax

from grpo_jax import tasks
from grpo_jax.config import GRPO, ConfigError, Experiment, Stage
from grpo_jax.parallel import Member, processes
from grpo_jax.run.checkpoint import Checkpointer
from grpo_jax.run.course import Course, Desk, over
from grpo_jax.run.evaluate import Evaluate
from grpo_jax.run.follower import AnyWriter, Follower
from grpo_jax.run.intact import set_aside
from grpo_jax.run.kinds import make_runner
from grpo_jax.run.learned import held_out_scores, make_learned_reward
from grpo_jax.run.notices import notices
from grpo_jax.run.profile import Profile
from grpo_jax.run.stage import Runner, Setting
from grpo_jax.run.stopping import Asked, never
from grpo_jax.run.switch import kept_moments, reference_of
from grpo_jax.run.teller import Teller
from grpo_jax.run.tolerance import Tolerance
from grpo_jax.run.trackers import UNTRACKED, Tracking, start_trackers
from grpo_jax.run.trained import merged_policy
from grpo_jax.run.view import View
from grpo_jax.run.writer import Writer
from grpo_jax.types import Params, TrainState


class Stages:
  """A run's place among its stages, and its files."""

  def __init__(
    self,
    setting: Setting,
    evaluate: Evaluate,
    view: View,
    trace: Profile,
    asked: Asked = never,
    tolerance: Tolerance | None = None,
    tracking: Tracking = UNTRACKED,
  ):
    self.setting, self.say, self.trace = setting, view.say, trace
    self.config, workdir = setting.experiment, setting.workdir
    with processes.together():
      for line in set_aside(workdir) if processes.index() == 0 else ():
        view.warning(line)
    ends = list(itertools.accumulate(stage.steps for stage in self.config.stages.values()))
    alone = not isinstance(setting.devices, Member)
    self.checkpoints = Checkpointer(
      workdir, self.config.checkpoint, ends, alone=alone, tolerance=tolerance
    )
    self.done = self.checkpoints.latest() or 0
    names = list(self.config.stages)
    stage, step = position(self.config, self.done)
    place = (workdir, names, names[stage] if self.done else None, step)
    if processes.index():
      self.writer: AnyWriter = Follower(*place)
    else:
      self.writer = Writer(*place)
    teller = Teller(self.config.stages, self.writer, evaluate, view)
    self.desk = Desk(self.checkpoints, self.writer, teller, view, trace, asked)
    self._tracking = tracking
    self.last: TrainState | None = None  # the state that the stage before ended with

  def run(self, params: Params, chosen: Sequence[str]) -> None:
    """Runs those of the chosen stages that are left, each from the parameters of the one before."""
    at, step = position(self.config, self.done)
    names = list(self.config.stages)
    for line in self.setting.task.notes:
      self.say(f"task: {line}")
    if self.done:
      self.say(f"resuming {names[at]} after step {step}")
      self._check_place(names[at], step, chosen)
    if isinstance(self.writer, Writer):  # only now: a run that is refused is none to a tracker
      place = self.config, self.setting.workdir, self.desk.view.warning
      self.writer.track(start_trackers(self._tracking, *place))
    for index, (name, stage) in enumerate(self.config.stages.items()):
      # One that is over is passed through, for what it leaves to the next.
      resumed = self.done > 0 and index == at
      if index < at or (name not in chosen and not resumed):
        continue
      later = name != chosen[-1]
      params = self._stage(index, name, stage, params, step if resumed else 0, later)

  def _check_place(self, name: str, step: int, chosen: Sequence[str]) -> None:
    """Refuses to leave a stage that is not at its end, and to go back to an earlier one."""
    names, asked = list(self.config.stages), f"--stages={','.join(chosen)}"
    if name not in chosen and not over(self.config, name, step, self.writer):
      raise ConfigError(
        f"{asked}: stage {name!r} is at step {step} of {self.config.stages[name].steps}: name it"
        " too, or another --workdir"
      )
    if names.index(chosen[-1]) < names.index(name):
      raise ConfigError(
        f"{asked}: this run is past it, in {name!r}: name that or a later one, or another --workdir"
      )

  def _stage(
    self, index: int, name: str, stage: Stage, params: Params, step: int, later: bool
  ) -> Params:
    """One stage, from `step` on: the policy -> that which a later stage, if there is one, takes."""
    own = self.setting.task if stage.task is None else tasks.build(stage.task)
    for line in () if stage.task is None else own.notes:
      self.say(f"{name}: {line}")
    setting = dataclasses.replace(self.setting, index=index, task=own)
    devices, number = setting.devices, setting.steps_before
    models = {score: make_learned_reward(setting, score) for score in held_out_scores(setting)}
    setting = dataclasses.replace(setting, models=models)
    runner = self._runner(setting, name, stage, params)
    if runner.policy is None:
      params = self.checkpoints.pinned("policy", name, params)
    if stage.lora.rank and self._is_base_lost(index):
      params = self.checkpoints.pinned("base", name, params)
    state = devices.replicate(self._state(setting, runner, stage, params, number + step))

    def save_best(state: TrainState) -> None:
      self.checkpoints.save_best(name, self._trained(runner, stage, state))

    course = Course(self.desk, setting, runner, state, step, save_best)
    del state  # its memory is the course's to give
    if self.done == step == 0 and self.last is None:  # the first that runs
      course.evaluate()
    state, step = course.run(), course.step
    if step < stage.steps:
      self.say(f"{name}: ends after step {step} of {stage.steps}, as its stop rule says")
    if not later and runner.finish is None and not stage.stop.patience:
      return params  # no one asks for what it has trained: with adapters, a policy of each member
    self.last = devices.first(state)
    trained = self._trained(runner, stage, state)
    if stage.stop.patience and (best := self.checkpoints.best(name, trained)) is not None:
      self.say(f"{name}: what it has trained goes on as it was at its best {stage.stop.figure}")
      trained = best
    if runner.finish is not None:
      runner.finish(devices.replicate(trained))
    return params if runner.policy is None else trained

  def _is_base_lost(self, index: int) -> bool:
    """Whether the weights that a stage's adapters are added to cannot be had again later.

    Those of the first stage are the model's own; a later stage may ask for them as its reference.
    """
    later = list(self.config.stages.values())[index + 1 :]
    return index > 0 or any(stage.switch.reference == "keep" for stage in later)

  def _trained(self, runner: Runner, stage: Stage, state: TrainState) -> Params:
    """What the stage is about as it stands, without adapters."""
    trained = self.setting.devices.first(runner.trained(state))
    return merged_policy(trained) if stage.lora.rank else trained

  def _runner(self, setting: Setting, name: str, stage: Stage, params: Params) -> Runner:
    """The stage's runner, with the reference that its KL needs."""
    reference = None
    if isinstance(stage, GRPO):
      for notice in notices(stage):
        self.say(f"{name}: {notice}")
      first = reference_of(self.config, name)
      # Adapters leave the weights as they were: the reference is there already.
      what = "base" if self.config.stages[first].lora.rank else "reference"
      if stage.loss.kl_coefficient > 0 and (what, first) != ("base", name):
        if first != name and not self.checkpoints.is_pinned(what, first):
          raise ConfigError(
            f"stages.{name}.switch.reference='keep': stage {first!r}, whose reference it is, has"
            " not run in this folder"
          )
        reference = self.checkpoints.pinned(what, first, params)
    return make_runner(setting, stage, reference, self.writer.samples(name))

  def _state(
    self, setting: Setting, runner: Runner, stage: Stage, params: Params, number: int
  ) -> TrainState:
    """The stage's state after `number` steps of the run, from the checkpoint if it has begun."""
    devices = setting.devices
    if number > setting.steps_before:
      like = devices.like(jax.eval_shape(runner.init, params))
      saved = self.checkpoints.restore(number, like)
      frozen = devices.init(runner.init, params).frozen if stage.lora.rank else None
      return saved.replace(frozen=frozen)  # type: ignore[attr-defined]
    state = devices.init(runner.init, params)
    if stage.switch.moments == "keep":
      state = state.replace(opt_state=kept_moments(self.last, state))  # type: ignore[attr-defined]
    return state

  def close(self, *, whole: bool) -> None:
    """Waits until all files are complete; `whole`: the run has come to its end."""
    try:
      self.trace.close()
      self.checkpoints.close()  # before trackers are waited for
    except BaseException:
      whole = False
      raise
    finally:
      self.writer.close(whole=whole)


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
