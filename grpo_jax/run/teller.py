"""What a run writes down and says of its steps and states."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grpo_jax.config import ConfigError, Stage
from grpo_jax.rewards import LearnedReward
from grpo_jax.run import console
from grpo_jax.run.evaluate import Evaluate
from grpo_jax.run.figures import memory_figures
from grpo_jax.run.follower import AnyWriter
from grpo_jax.run.health import Health
from grpo_jax.run.stage import Outcome, Runner
from grpo_jax.run.writer import finite
from grpo_jax.types import TrainState

# Steps between the prompts that are shown with their best and worst answer.
_SHOW_EVERY = 10


class Teller:
  """Takes what there is to tell to the files of a run and to a person."""

  def __init__(
    self,
    stages: dict[str, Stage],
    writer: AnyWriter,
    evaluate: Evaluate,
    say: Callable[[str], None],
  ):
    self._stages, self._writer, self._evaluate, self._say = stages, writer, evaluate, say
    self._health: dict[str, Health] = {}

  def tell(
    self, name: str, steps: int, done: int, outcomes: Sequence[Outcome], spent: float
  ) -> None:
    """Writes the steps after `done` down, and says them; `spent` seconds were each."""
    for step, outcome in enumerate(outcomes, start=done + 1):
      self._write(name, step, outcome.figures | memory_figures())
      if outcome.samples:
        self._writer.write_samples(name, step, outcome.samples)
        if len(outcomes) > 1 or step % _SHOW_EVERY == 1:
          self._say(_sample(outcome.samples[0]))
      left = spent * (steps - step)
      self._say(console.step_line(name, step, steps, outcome.figures, left))

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
    self._say(console.evaluation_line(name, step, figures))
    return figures.get("eval/accuracy")

  def _write(self, name: str, step: int, figures: dict[str, float]) -> None:
    """Writes a line, and warns where it is the first to show an illness."""
    if name not in self._health:
      self._health[name] = Health()
      for line in self._writer.metrics(name):  # of a resumed run: said already
        self._health[name].see(line)
    self._writer.write_metrics(name, step, figures)
    shown = {"step": step} | {key: finite(value) for key, value in figures.items()}
    for said in self._health[name].see(shown):
      self._say(f"warning: {name} step {step}: {said}")


def _sample(record: dict[str, Any]) -> str:
  names = ("prompt", "completions", "rewards", "advantages")
  return console.sample_block(*(record[name] for name in names))
