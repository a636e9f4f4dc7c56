"""What can be refused of a whole experiment as soon as its model and devices are known."""

import os
from collections.abc import Iterable, Sequence

from grpo_jax import tasks
from grpo_jax.config import GRPO, ConfigError, Experiment, Mixture, Pretrain, RewardModel, Stage
from grpo_jax.config.fields import unknown_field
from grpo_jax.config.turns import Turns
from grpo_jax.parallel import AnyDevices, check_divisible, make_sampling_devices
from grpo_jax.rewards import EPISODE, REWARDS, TASK, ArrayReward, is_learned, is_ruled, resolve
from grpo_jax.run.corpus import no_documents
from grpo_jax.run.evaluate import EVALUATED
from grpo_jax.run.judge import JUDGED
from grpo_jax.run.own_rewards import asked_rewards, check_curriculum, check_own_rewards
from grpo_jax.run.pairs import held_out_pairs
from grpo_jax.sandbox import judge as sandbox


def check_context(experiment: Experiment, context: int) -> None:
  """Refuses answers that leave no room for a prompt.

  Raises:
    ConfigError: names the field.
  """
  held_out = experiment.evaluation
  lengths = {held_out.total_name("evaluation."): held_out.total_tokens}
  for name, stage in experiment.stages.items():
    tokens, field = stage.longest
    lengths[f"stages.{name}.{field}"] = tokens
  for name, tokens in lengths.items():
    if tokens >= context:
      raise ConfigError(
        f"config.{name}={tokens}: the model's context is {context}, with the prompt"
      )


def check_chosen(experiment: Experiment, chosen: Sequence[str]) -> None:
  """Refuses --stages that are not there, or not in their order.

  Raises:
    ConfigError: names them.
  """
  names = list(experiment.stages)
  places = [names.index(name) if name in names else -1 for name in chosen]
  if -1 in places or places != sorted(set(places)):
    raise ConfigError(
      f"--stages={','.join(chosen)}: must be some of {','.join(names)}, in this order"
    )


def check_batches(experiment: Experiment, devices: AnyDevices) -> None:
  """Refuses batches that do not split evenly over devices and micro-batches, of every stage.

  Raises:
    ConfigError: names the fields.
  """
  for name, stage in experiment.stages.items():
    stale = isinstance(stage, GRPO) and stage.staleness
    check_batch(devices, name, stage, make_sampling_devices(experiment.parallel) if stale else None)


def check_batch(
  devices: AnyDevices, name: str, stage: Stage, sampling: AnyDevices | None = None
) -> None:
  """`check_batches` of one stage, answered on devices of their own where there are any."""
  size, what = stage.batch
  path, parts = f"config.stages.{name}", stage.optimizer.micro_batches
  check_divisible(devices, size, parts, f"{path}.{what}", group=stage.group)
  if isinstance(stage, GRPO):  # answered all at once
    what = f"{path}.rollout.prompts"
    check_divisible(sampling or devices, stage.rollout.prompts, 1, what, group=stage.group)


def check_stages(experiment: Experiment, asked: tasks.Task) -> None:
  """Refuses what only a later stage would find: data that are not there, figures nobody evaluates.

  Args:
    experiment: all of it. asked: its own task, built.

  Raises:
    ConfigError: names the stage and its field, before any stage has trained for nothing.
  """
  evaluation = experiment.evaluation
  rewards = (evaluation.reward, *evaluation.scores)
  check_turns("config.evaluation", evaluation, asked, rewards)
  for name, stage in experiment.stages.items():
    path = f"config.stages.{name}"
    task = asked if stage.task is None else tasks.build(stage.task)
    if isinstance(stage, GRPO):
      check_turns(f"{path}.rollout", stage.rollout, task, stage.rewards)
      if task.reset is not None and stage.steps_per_program > 1:
        raise ConfigError(
          f"{path}.steps_per_program={stage.steps_per_program}: the task is an environment, which"
          " is asked between the turns"
        )
    if isinstance(stage, RewardModel):
      held_out_pairs(stage, task, path)
    if isinstance(stage, GRPO) and task.ladders:
      check_curriculum(experiment, stage, path)
    if isinstance(stage, Pretrain) and stage.texts is None and task.documents is None:
      raise ConfigError(no_documents(path))
    figures = _figures(experiment, stage)
    if (stage.stop.held or stage.stop.patience) and stage.stop.figure not in figures:
      raise ConfigError(
        unknown_field(f"{path}.stop.figure", stage.stop.figure, figures).replace("field", "figure")
      )


def check_turns(path: str, sizes: Turns, task: tasks.Task, rewards: Iterable[str]) -> None:
  """Refuses turns and rewards that do not fit the task.

  Raises:
    ConfigError: names the field or the reward.
  """
  if task.reset is None:
    if sizes.turns > 1:
      raise ConfigError(f"{path}.turns={sizes.turns}: the task is no environment: 1 turn is all")
    if EPISODE in rewards:
      raise ConfigError(
        f"{path}: the reward {EPISODE!r} is what an environment gives, and the task is none"
      )
    return
  if TASK in rewards:
    raise ConfigError(f"{path}: the reward of an environment is {EPISODE!r}, not {TASK!r}")
  for name in rewards:
    if is_learned(name) or (is_ruled(name) and isinstance(resolve(name), ArrayReward)):
      raise ConfigError(
        f"{path}: {name!r} reads arrays of whole answers, and the task is an environment: use"
        f" {EPISODE!r}, or a reward that reads texts"
      )


def _figures(experiment: Experiment, stage: Stage) -> list[str]:
  """The names of what is evaluated in a stage."""
  if isinstance(stage, RewardModel):
    return list(JUDGED)
  scores = [f"eval/{name}" for name in experiment.evaluation.scores]
  own = ["eval/loss", "eval/perplexity"] if isinstance(stage, Pretrain) else []
  names = experiment.task.tasks if isinstance(experiment.task, Mixture) else ()
  return [*own, *EVALUATED, *scores, *(f"eval/{name}/accuracy" for name in names)]


def check_rewards(experiment: Experiment) -> None:
  """Refuses rewards that are not there, and those of the other kind where only one is read.

  Raises:
    ConfigError: names the reward and the field.
    SandboxError: programs of the model would be run, and cannot be contained here.
  """
  _check_evaluation(experiment)
  check_own_rewards(experiment)
  if "unit_tests" in asked_rewards(experiment):
    sandbox.check()
  trained: list[str] = []
  for stage_name, stage in experiment.stages.items():
    if isinstance(stage, RewardModel):
      trained.append(f"stage:{stage_name}")
    if isinstance(stage, GRPO):
      _check_stage_rewards(f"config.stages.{stage_name}", stage, trained)


def _check_evaluation(experiment: Experiment) -> None:
  """Evaluation has texts, and learned scores, which are no matter of right and wrong."""
  evaluation = experiment.evaluation
  for name in (evaluation.reward, *(n for n in evaluation.scores if not is_learned(n))):
    if is_learned(name) or (is_ruled(name) and isinstance(resolve(name), ArrayReward)):
      raise ConfigError(
        f"config.evaluation: {name!r} reads arrays, and evaluation has texts: use one of"
        f" {', '.join(REWARDS)}, or 'file.py:function' (scores may name learned rewards)"
      )
  models = {f"stage:{n}" for n, s in experiment.stages.items() if isinstance(s, RewardModel)}
  for name in evaluation.scores:
    if name.startswith("stage:") and name not in models:
      raise ConfigError(
        f"config.evaluation.scores: {name!r} is no RewardModel stage; there are:"
        f" {', '.join(sorted(models)) or 'none'}"
      )


def _check_stage_rewards(path: str, stage: GRPO, trained: list[str]) -> None:
  for name in stage.rewards:
    folder = name.removeprefix("model:")
    if folder != name and not os.path.isdir(folder):
      raise ConfigError(f"{path}.rewards: {name!r}: there is no reward model in {folder}")
    if name.startswith("stage:") and name not in trained:
      known = ", ".join(trained) or "none"
      raise ConfigError(
        f"{path}.rewards: {name!r} must be a RewardModel stage before this one; there are: {known}"
      )
    in_jax = not is_ruled(name) or isinstance(resolve(name), ArrayReward)
    if stage.steps_per_program > 1 and not in_jax:
      raise ConfigError(
        f"{path}.rewards: {name!r} is not in JAX, as 'solution' is, and"
        f" steps_per_program={stage.steps_per_program} needs it to be"
      )
