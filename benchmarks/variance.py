"""The variance of the gradient estimate at a fixed policy, by algorithm and group size."""

from collections.abc import Callable

import jax
import numpy as np
import optax

from experiments.configs import grpo_vs_ppo
from grpo_jax import config, tasks
from grpo_jax.config import PPO
from grpo_jax.parallel import make_devices
from grpo_jax.run.gather import make_gather
from grpo_jax.run.grpo import make_batch_maker
from grpo_jax.run.learn import make_looks
from grpo_jax.run.policy import load_policy
from grpo_jax.run.ppo import make_ppo_batch_maker, make_ppo_runner
from grpo_jax.run.stage import Setting
from grpo_jax.steps import make_grpo_step
from grpo_jax.steps.ppo import init_ppo_state, make_ppo_step
from grpo_jax.steps.update import init_state

# Plain descent with rate 1: what a step adds is the gradient.
_PLAIN = (optax.identity(), lambda _: 1.0)
# Updates of the critic alone, before its advantages are looked at.
_CRITIC_STEPS = 60


def relative_variance(name: str, batches: int) -> float:
  """E |g - E g|^2 / |E g|^2 of the policy's gradient over batches of 256 answers.

  1 is as much noise as signal in one batch. |E g|^2 is estimated without bias, as the mean of
  g_i . g_j over pairs of batches.
  """
  setting, stage, policy = _setting(name)
  gradient = (_ppo if isinstance(stage, PPO) else _grpo)(setting, stage, policy)
  gradients = np.stack([gradient(step).astype(np.float64) for step in range(1000, 1000 + batches)])
  whole, own = np.sum(gradients.sum(axis=0) ** 2), np.sum(gradients**2)
  signal = (whole - own) / (batches * (batches - 1))
  noise = (own / batches - whole / batches**2) * batches / (batches - 1)
  return float(noise / signal)


def _setting(name: str) -> tuple[Setting, config.GRPO, dict]:
  experiment = grpo_vs_ppo.get_config(name)
  config.check(experiment)
  policy, devices = load_policy(experiment), make_devices(experiment.parallel)
  task = tasks.build(experiment.task)
  setting = Setting(experiment, 0, policy.network, policy.tokenizer, task, devices)
  stage = experiment.stages["rl"]
  assert isinstance(stage, config.GRPO)
  return setting, stage, policy.params


def _flat(before: dict, after: dict) -> np.ndarray:
  leaves = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
  return np.concatenate([np.ravel(np.asarray(a) - np.asarray(b)) for a, b in leaves])


def _grpo(setting: Setting, stage: config.GRPO, policy: dict) -> Callable[[int], np.ndarray]:
  gather, look = make_gather(setting, stage), make_looks(setting, stage, None)
  step = jax.jit(make_grpo_step(setting.network, stage.loss, *_PLAIN, length_budget=4))
  make_batch = make_batch_maker(stage)

  def gradient(number: int) -> np.ndarray:
    answers, _ = gather(policy, number)
    batch = make_batch(answers, look(policy, answers))
    state, _ = step(init_state(policy, _PLAIN[0]), batch)
    return _flat(policy, state.params)

  return gradient


def _ppo(setting: Setting, stage: PPO, policy: dict) -> Callable[[int], np.ndarray]:
  """With a critic that has learned the fixed policy's values."""
  stage.optimizer.lr = stage.optimizer.min_lr = 1e-12
  runner = make_ppo_runner(setting, stage, None)
  state = runner.init(jax.tree.map(np.array, policy))
  for number in range(_CRITIC_STEPS):
    state, told = runner.advance(state, number)
  print(f"critic: explained variance {told()[0].figures['value/explained_variance']:.2f}")
  optimizers = dict.fromkeys(
    ("policy", "critic") if "critic" in state.params else ("policy",), _PLAIN
  )
  step = jax.jit(
    make_ppo_step(
      setting.network, stage.loss, optimizers, value_coefficient=1e-9, value_clip=0, length_budget=4
    )
  )
  gather, look = make_gather(setting, stage), make_looks(setting, stage, None)
  make_batch, params = make_ppo_batch_maker(setting, stage), state.params

  def gradient(number: int) -> np.ndarray:
    answers, _ = gather(params["policy"], number)
    batch = make_batch(params, answers, look(params["policy"], answers))
    after, _ = step(init_ppo_state(params, optimizers), batch)
    return _flat(params["policy"], after.params["policy"])

  return gradient
