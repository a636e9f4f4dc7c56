"""How much of a step is not device work: the loop of the host against many steps in one program.

python -m benchmarks.one_program [--rounds=5] -> Markdown

The tiny experiment with a reward in JAX that gives every group signal. What a
step takes is timed with all that a run does (prompts, figures, files); the work of the device is
the same compiled functions called with arrays that are ready. All four in turns.
"""

import dataclasses
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from experiments.configs import tiny_arithmetic
from grpo_jax import config, tasks
from grpo_jax.optimizer import make_optimizer
from grpo_jax.parallel import make_devices
from grpo_jax.run.figures import memory_figures
from grpo_jax.run.grpo import make_grpo_runner
from grpo_jax.run.keys import seeded
from grpo_jax.run.learn import stage_step
from grpo_jax.run.policy import load_policy
from grpo_jax.run.program import asked_of, make_program_runner, stage_models, stage_program
from grpo_jax.run.sampler import stage_rollout
from grpo_jax.run.stage import Runner, Setting, Told
from grpo_jax.run.writer import Writer
from grpo_jax.steps.update import init_state
from grpo_jax.types import Batch

_ROUNDS = flags.DEFINE_integer("rounds", 5, "Times that each is measured.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 25, "Steps of a program.", lower_bound=2)
_PROGRAMS = 4  # of one measurement


def main(_: list[str]) -> None:
  """Measures, and prints a table."""
  setting, stage, params = _experiment()
  many = dataclasses.replace(stage, steps_per_program=_STEPS.value)
  loop = _stepped(make_grpo_runner(setting, stage, None), params)
  program = _stepped(make_program_runner(setting, many), params)
  work = {
    "host loop": (loop, _device_of_loop(setting, stage, params)),
    "one program": (program, _device_of_program(setting, many, params)),
  }
  times: dict[tuple, list[float]] = {(name, part): [] for name in work for part in (0, 1)}
  for _round in range(_ROUNDS.value + 1):
    for (name, part), taken in times.items():
      started = time.monotonic()
      work[name][part]()
      taken.append((time.monotonic() - started) / (_STEPS.value * _PROGRAMS))
  print("| | a step | of it on the device | the rest | steps a second |")
  print("| --- | --- | --- | --- | --- |")
  for name in work:
    whole, device = (statistics.median(times[name, part][1:]) for part in (0, 1))
    pairs = zip(times[name, 1][1:], times[name, 0][1:], strict=True)
    rest = statistics.median(1 - one / other for one, other in pairs)
    print(
      f"| {name} | {whole * 1e3:.1f} ms | {device * 1e3:.1f} ms | {rest:.1%} | {1 / whole:.1f} |"
    )


def _experiment() -> tuple[Setting, config.GRPO, dict]:
  experiment = tiny_arithmetic.get_config()
  stage = dataclasses.replace(
    experiment.stages["grpo"],
    rewards={"benchmarks/array_reward.py:odd": 1.0},
    steps=_STEPS.value * 1000,
  )
  experiment.stages = {"grpo": stage}
  policy, devices = load_policy(experiment), make_devices(experiment.parallel)
  task = tasks.build(experiment.task)
  return (
    Setting(experiment, 0, policy.network, policy.tokenizer, task, devices),
    stage,
    policy.params,
  )


def _stepped(runner: Runner, params: dict) -> Callable[[], None]:
  """Takes steps as the loop does, and writes down what there is to tell."""
  writer, state = Writer(tempfile.mkdtemp(), ["grpo"]), runner.init(_copy(params))
  done = itertools.count(step=runner.stride)

  def tell(told: Told) -> None:
    for outcome in told():
      writer.write_metrics("grpo", 0, outcome.figures | memory_figures())
      writer.write_samples("grpo", 0, outcome.samples)

  def steps() -> None:
    nonlocal state
    waiting: list[Told] = []
    for _ in range(0, _STEPS.value * _PROGRAMS, runner.stride):
      state, told = runner.advance(state, next(done))
      waiting.append(told)
      if len(waiting) > (runner.stride > 1):
        tell(waiting.pop(0))
    while waiting:
      tell(waiting.pop(0))

  return steps


def _device_of_loop(setting: Setting, stage: config.GRPO, params: dict) -> Callable[[], None]:
  """Sampling and updating without anything between."""
  optimizer = make_optimizer(stage.optimizer)
  sample = jax.jit(seeded(stage_rollout(setting, stage)))
  update = jax.jit(stage_step(setting, stage), donate_argnums=0)
  _, asked = asked_of(setting, stage, range(1))
  prompts, keys = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), (asked.prompts, asked.keys))
  shape = (stage.rollout.prompts, stage.rollout.group_size)
  advantages = jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)
  state = init_state(_copy(params), optimizer)

  def steps() -> None:
    nonlocal state
    for _ in range(_STEPS.value * _PROGRAMS):
      answers = jax.block_until_ready(sample(state.params, prompts, keys))
      state, _ = jax.block_until_ready(update(state, Batch(answers, advantages, advantages)))

  return steps


def _device_of_program(setting: Setting, stage: config.GRPO, params: dict) -> Callable[[], None]:
  """The program with all that it is asked at hand."""
  models, learned = stage_models(setting, stage)
  program = stage_program(setting, learned, stage)
  compiled, state = jax.jit(program, donate_argnums=0), None
  _, asked = asked_of(setting, stage, range(stage.steps_per_program))
  asked = jax.tree.map(jnp.asarray, asked)
  state = init_state(_copy(params), make_optimizer(stage.optimizer))

  def steps() -> None:
    nonlocal state
    for _ in range(_PROGRAMS):
      state, _ = jax.block_until_ready(compiled(state, asked, models))

  return steps


def _copy(params: dict) -> dict:
  """Parameters of one's own: those of a state are given away with it."""
  return jax.tree.map(jnp.array, params)


if __name__ == "__main__":
  app.run(main)
