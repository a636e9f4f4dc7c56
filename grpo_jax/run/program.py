"""A stage of GRPO whose rewards are in JAX: many steps a program, read while the next one runs."""

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax import metrics as metrics_lib
from grpo_jax.advantages import make_advantages
from grpo_jax.config import GRPO, as_terms
from grpo_jax.optimizer import make_optimizer
from grpo_jax.rewards import Scores, Solutions, compose, is_learned, resolve
from grpo_jax.run.answers import Answers, answer_advantages
from grpo_jax.run.batches import answer_texts, prompt_batch
from grpo_jax.run.figures import answer_figures, group_figures
from grpo_jax.run.keys import prompt_keys
from grpo_jax.run.learn import stage_step
from grpo_jax.run.learned import Judge, learned_judge
from grpo_jax.run.levels import task_figures
from grpo_jax.run.sampler import check_scores, reads_solutions, solutions, stage_rollout
from grpo_jax.run.samples import step_samples
from grpo_jax.run.stage import Outcome, Runner, Setting, Told
from grpo_jax.run.trained import make_init
from grpo_jax.steps import Asked, Program, Record, make_grpo_program
from grpo_jax.tasks import Example
from grpo_jax.types import Batch, Params, Rollout, TrainState


def make_program_runner(setting: Setting, stage: GRPO) -> Runner:
  """Builds the stage: stage.steps_per_program steps at a time.

  The run is that of the loop of the host, but samples are of the last step of each program.
  """
  optimizer, count = make_optimizer(stage.optimizer), stage.steps_per_program
  models, learned = stage_models(setting, stage)
  program = functools.partial(stage_program, setting, learned)
  compiled = setting.program(program, stage, "program", donate=(0,))
  ended = time.monotonic()

  def advance(state: TrainState, step: int) -> tuple[TrainState, Told]:
    started = time.monotonic()
    examples, asked = asked_of(setting, stage, range(step, step + count))
    state, records = compiled(state, asked, models)

    def told() -> list[Outcome]:
      nonlocal ended
      read = jax.device_get(setting.devices.first(records))
      began, ended = max(started, ended), time.monotonic()
      return _outcomes(setting, stage, step, examples, read, (ended - began) / count)

    return state, told

  return Runner(stage.steps, make_init(setting, stage, optimizer), advance, stride=count)


def stage_models(setting: Setting, stage: GRPO) -> tuple[dict[str, Params], dict[str, Judge]]:
  """The learned rewards that the stage's program is given, and how each scores."""
  found = {name: learned_judge(setting, name) for name in filter(is_learned, stage.rewards)}
  models = {name: params for name, (params, _) in found.items()}
  return models, {name: judge for name, (_, judge) in found.items()}


def stage_program(setting: Setting, learned: dict[str, Judge], stage: GRPO) -> Program:
  """The program that the stage's config describes."""
  terms = as_terms(stage.rewards)

  def one(name: str, rollout: Rollout, targets: Solutions, models: dict) -> jax.Array:
    if name in learned:
      return learned[name](models[name], rollout)
    return resolve(name)(rollout, targets)  # type: ignore[arg-type, call-arg, return-value]

  def judge(
    rollout: Rollout, targets: Solutions, step: jax.Array, models: dict
  ) -> tuple[jax.Array, jax.Array, jax.Array]:
    parts = jnp.stack([one(name, rollout, targets, models) for name in terms])
    total, counted, weights = compose(parts, terms, step)
    return total, parts, make_advantages(total, counted, weights, rollout.mask, stage)

  return make_grpo_program(stage_rollout(setting, stage), judge, stage_step(setting, stage))


def asked_of(setting: Setting, stage: GRPO, steps: range) -> tuple[list[list[Example]], Asked]:
  """The examples of each step, and all that the program needs of them."""
  seed, P = setting.experiment.seed, stage.rollout.prompts
  examples = [setting.task.sample(seed, setting.steps_before + step, P) for step in steps]
  flat = [example for some in examples for example in some]
  room = setting.network.architecture.context_length - stage.rollout.max_tokens
  keys = np.stack([prompt_keys(seed, setting.index, step, P) for step in steps])
  targets = solutions(setting, stage, flat) if reads_solutions(stage) else None
  each = (prompt_batch(setting.tokenizer, flat, room=room), targets)
  prompts, targets = jax.tree.map(lambda leaf: leaf.reshape(len(steps), P, -1), each)
  numbers = jnp.arange(steps.start, steps.stop)
  return examples, Asked(numbers, prompts, targets, jnp.asarray(keys))


def _outcomes(
  setting: Setting,
  stage: GRPO,
  first: int,
  examples: list[list[Example]],
  records: Record,
  seconds: float,
) -> list[Outcome]:
  """What is told of each step of a program from step `first` on, `seconds` long each."""
  outcomes = []
  for index, asked in enumerate(examples):
    record: Any = jax.tree.map(lambda leaf, index=index: leaf[index], records)
    check_scores(stage, record.total, asked[0])
    parts, terms = dict(zip(stage.rewards, record.parts, strict=True)), as_terms(stage.rewards)
    _, counted, weights = map(np.asarray, compose(record.parts, terms, first + index))
    scores = Scores(record.total, parts, counted, weights)
    last, rollout = index == len(examples) - 1, record.rollout
    texts = answer_texts(setting.tokenizer, rollout.tokens, rollout.mask) if last else []
    answers = Answers(asked, rollout, texts, scores, np.zeros(2))
    figures = metrics_lib.read(record.metrics) | answer_figures(answers)
    figures |= group_figures(answers, np.arange(len(asked)), gdpo=stage.shaping.gdpo)
    judge = setting.experiment.evaluation.reward
    figures |= task_figures(answers, judge)
    tokens = float(rollout.mask.sum())
    figures |= {"time/step_s": seconds, "time/tokens_per_s": tokens / seconds}
    worth = answer_advantages(record.advantages, rollout.mask)
    batch = Batch(rollout, record.total, record.advantages)
    samples = step_samples(setting, answers, worth) if last else []
    outcomes.append(Outcome(figures, samples, batch))
  return outcomes
