"""What can be refused of a whole experiment as soon as its model and devices are known."""

from grpo_jax.config import GRPO, ConfigError, Experiment
from grpo_jax.parallel import Devices, check_divisible


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


def reward_names(experiment: Experiment) -> list[str]:
  """Every reward that the experiment asks for."""
  stages = [stage for stage in experiment.stages.values() if isinstance(stage, GRPO)]
  return [experiment.evaluation.reward, *(name for stage in stages for name in stage.rewards)]
