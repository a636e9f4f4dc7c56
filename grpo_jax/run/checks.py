"""What can be refused of a whole experiment as soon as its model and devices are known."""

from grpo_jax.config import GRPO, ConfigError, Experiment
from grpo_jax.parallel import Devices, check_divisible
from grpo_jax.rewards import REWARDS, ArrayReward, resolve


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


def check_batches(experiment: Experiment, devices: Devices) -> None:
  """Refuses batches that do not split evenly over devices and micro-batches, of every stage.

  Raises:
    ConfigError: names the fields.
  """
  for name, stage in experiment.stages.items():
    if isinstance(stage, GRPO):
      size, what = stage.rollout.prompts // stage.minibatches, "rollout.prompts / minibatches"
    else:
      size, what = stage.batch_size, "batch_size"
    check_divisible(devices, size, stage.optimizer.micro_batches, f"config.stages.{name}.{what}")


def check_rewards(experiment: Experiment) -> None:
  """Refuses rewards that are not there, and those of the other kind where only one is read.

  Raises:
    ConfigError: names the reward and the field.
  """
  name = experiment.evaluation.reward
  if isinstance(resolve(name), ArrayReward):
    raise ConfigError(
      f"config.evaluation.reward={name!r} is a reward in JAX: evaluation reads texts, use one of"
      f" {', '.join(REWARDS)}, or 'file.py:function'"
    )
  for stage_name, stage in experiment.stages.items():
    if not isinstance(stage, GRPO):
      continue
    for name in stage.rewards:
      in_jax = isinstance(resolve(name), ArrayReward)
      if stage.steps_per_program > 1 and not in_jax:
        raise ConfigError(
          f"config.stages.{stage_name}.rewards: {name!r} reads texts, and"
          f" steps_per_program={stage.steps_per_program} needs rewards in JAX, as 'solution' is"
        )
