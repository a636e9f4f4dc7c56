"""A stage that learns from texts or chats, step by step."""

import functools
import time
from collections.abc import Callable, Sequence

import numpy as np

from grpo_jax import metrics as metrics_lib
from grpo_jax.config import Pretrain
from grpo_jax.metrics import Metrics
from grpo_jax.optimizer import make_optimizer, make_schedule
from grpo_jax.packing import Document, fill, first_fit
from grpo_jax.run.corpus import make_corpus
from grpo_jax.run.stage import Outcome, Runner, Setting, Told, policy_of
from grpo_jax.run.trained import make_init
from grpo_jax.steps import make_text_loss, make_text_step
from grpo_jax.types import TrainState


def make_text_runner(setting: Setting, stage: Pretrain) -> Runner:
  """Builds the stage: rows of packed documents, one update each.

  texts/padding is the share of a batch that is padding.

  Raises:
    ConfigError: one line on a file, row or field that cannot be used.
  """
  devices, optimizer = setting.devices, make_optimizer(stage.optimizer)
  corpus = make_corpus(setting, stage)
  step = functools.partial(text_step, setting)
  compiled = setting.program(step, stage, "update", donate=(0,))
  first = setting.begin(stage.texts, lambda s: s.texts if isinstance(s, Pretrain) else None)

  def advance(state: TrainState, step: int) -> tuple[TrainState, Told]:
    started = time.monotonic()
    packed = corpus.batch(first + step)
    state, metrics = compiled(state, devices.split(packed))
    figures = metrics_lib.read(devices.first(metrics))
    real = np.asarray(packed.segments) > 0
    seconds = time.monotonic() - started
    figures |= {
      "texts/padding": 1 - float(real.mean()),
      "time/step_s": seconds,
      "time/tokens_per_s": float(real.sum()) / seconds,
    }
    return state, lambda: [Outcome(figures, [], packed)]

  init = make_init(setting, stage, optimizer)
  return Runner(stage.steps, init, advance, judge=make_judge(setting, stage, corpus.held_out))


def text_step(setting: Setting, stage: Pretrain) -> Callable:
  """The update that the stage's config describes."""
  return make_text_step(
    setting.network,
    make_optimizer(stage.optimizer),
    make_schedule(stage.optimizer, stage.steps),
    micro_batches=stage.optimizer.micro_batches,
    axis_name=setting.devices.axis_name,
  )


def make_judge(
  setting: Setting, stage: Pretrain, documents: Sequence[Document]
) -> Callable[[TrainState], dict[str, float]]:
  """Builds state -> eval/loss, the mean of -log pi over the documents' learned tokens, in nats.

  Also eval/perplexity = exp(eval/loss). No more rows are in memory at one time than in the update.
  """
  devices, size = setting.devices, stage.batch_size // stage.optimizer.micro_batches
  rows = first_fit([len(document.tokens) for document in documents], stage.length)
  rows += [[]] * (-len(rows) % size)
  starts = range(0, len(rows), size)
  parts = [fill(documents, rows[start : start + size], stage.length) for start in starts]
  loss = make_text_loss(setting.network, axis_name=devices.axis_name)
  compiled = setting.program(lambda _: loss, stage, "loss")

  def judge(state: TrainState) -> dict[str, float]:
    each: list[Metrics] = [
      devices.first(compiled(policy_of(state), devices.split(part))) for part in parts
    ]
    merged = functools.reduce(metrics_lib.merge, each)
    loss = metrics_lib.read(merged)["eval/loss"]
    return {"eval/loss": loss, "eval/perplexity": float(np.exp(loss))}

  return judge
