"""A stage of supervised fine-tuning, step by step."""

import functools
import time
from collections.abc import Callable

from grpo_jax import metrics as metrics_lib
from grpo_jax.config import SFT
from grpo_jax.optimizer import make_optimizer, make_schedule
from grpo_jax.run.batches import prompt_batch
from grpo_jax.run.demonstrations import make_demonstrate
from grpo_jax.run.stage import Outcome, Runner, Setting, Told
from grpo_jax.run.trained import make_init
from grpo_jax.steps import make_sft_step
from grpo_jax.types import TrainState


def make_sft_runner(setting: Setting, stage: SFT) -> Runner:
  """Builds the stage: batches of the task's own solutions, or whole episodes, one update each."""
  devices, optimizer = setting.devices, make_optimizer(stage.optimizer)
  step = functools.partial(sft_step, setting)
  compiled = setting.program(step, stage, "update", donate=(0,))
  demonstrate = make_demonstrate(setting, stage.max_tokens)
  room = setting.network.architecture.context_length - stage.max_tokens

  def advance(state: TrainState, step: int) -> tuple[TrainState, Told]:
    started = time.monotonic()
    examples = setting.task.sample(
      setting.experiment.seed, setting.steps_before + step, stage.batch_size
    )
    prompts = prompt_batch(setting.tokenizer, examples, room=room)
    tokens, mask = demonstrate(examples)
    batch = prompts, tokens, mask
    state, metrics = compiled(state, devices.split(batch))
    figures = metrics_lib.read(devices.first(metrics))
    seconds = time.monotonic() - started
    figures |= {"time/step_s": seconds, "time/tokens_per_s": float(mask.sum()) / seconds}
    return state, lambda: [Outcome(figures, [], batch)]

  return Runner(stage.steps, make_init(setting, stage, optimizer), advance)


def sft_step(setting: Setting, stage: SFT) -> Callable:
  """The update that the stage's config describes."""
  return make_sft_step(
    setting.network,
    make_optimizer(stage.optimizer),
    make_schedule(stage.optimizer, stage.steps),
    micro_batches=stage.optimizer.micro_batches,
    axis_name=setting.devices.axis_name,
  )
