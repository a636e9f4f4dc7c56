"""What a run writes down and says of its steps and states."""

from collections.abc import Mapping, Sequence

from grpo_jax.config import ConfigError, Stage
from grpo_jax.rewards import LearnedReward
from grpo_jax.run.evaluate import Evaluate
from grpo_jax.run.figures import memory_figures
from grpo_jax.run.follower import AnyWriter
from grpo_jax.run.health import Health
from grpo_jax.run.stage import Outcome, Runner
from grpo_jax.run.view import View
from grpo_jax.run.writer import finite
from grpo_jax.types import TrainState


class Teller:
  """Takes what there is to tell to the files of a run and to a person."""

  def __init__(
    self,
    stages: dict[str, Stage],
    writer: AnyWriter,
    evaluate: Evaluate,
    view: View,
  ):
    self._stages, self._writer, self._evaluate, self._view = stages, writer, evaluate, view
    self._health: dict[str, Health] = {}

  def begin(self, name: str, step: int) -> None:
    """A stage goes on after so many of its steps: those of a resumed run were told already."""
    lines, self._health[name] = list(self._writer.metrics(name)), Health()
    for line in lines:
      self._health[name].see(line)
    self._view.begin(name, step, self._stages[name].steps, lines)

  def tell(
    self, name: str, steps: int, done: int, outcomes: Sequence[Outcome], spent: float
  ) -> None:
    """Writes the steps after `done` down, and says them; `spent` seconds were each."""
    for step, outcome in enumerate(outcomes, start=done + 1):
      self._write(name, step, outcome.figures | memory_figures())
      if outcome.samples:
        self._writer.write_samples(name, step, outcome.samples)
        self._view.sample(step, outcome.samples[0], rare=len(outcomes) > 1)
      self._view.step(name, step, steps, outcome.figures, spent)

  def evaluated(
    self,
    name: str,
    step: int,
    runner: Runner,
    state: TrainState,
    models: Mapping[str, LearnedReward],
  ) -> float | None:
    """Held-out figures of a state, written down and said; the accuracy, where there is one."""
    figures = {} if runner.judge is None else runner.judge(state)
    if runner.policy is not None:
      figures |= self._evaluate(runner.policy(state), models)
    stop = self._stages[name].stop
    if (stop.held or stop.patience) and stop.figure not in figures:
      known = ", ".join(sorted(figures))
      raise ConfigError(
        f"config.stages.{name}.stop.figure={stop.figure!r} is not evaluated: {known}"
      )
    self._write(name, step, figures)
    self._view.evaluated(name, step, self._stages[name].steps, figures)
    return figures.get("eval/accuracy")

  def _write(self, name: str, step: int, figures: dict[str, float]) -> None:
    """Writes a line, and warns where it is the first to show an illness."""
    self._writer.write_metrics(name, step, figures)
    shown = {"step": step} | {key: finite(value) for key, value in figures.items()}
    for said in self._health[name].see(shown):
      self._view.warning(f"warning: {name} step {step}: {said}")
