"""The variance of the gradient estimate at a fixed policy, by algorithm and group size."""

from collections.abc import Callable

import jax
import numpy as np
import optax

from experiments.configs import grpo_vs_ppo
from grpo_jax import config, tasks
from grpo_jax import metrics as metrics_lib
from grpo_jax.config import PPO
from grpo_jax.parallel import make_devices
from grpo_jax.run.gather import make_gather
from grpo_jax.run.grpo import make_batch_maker
from grpo_jax.run.learn import make_looks
from grpo_jax.run.policy import load_policy
from grpo_jax.run.ppo import make_ppo_batch_maker
from grpo_jax.run.stage import Setting
from grpo_jax.steps import make_grpo_step
from grpo_jax.steps.ppo import Optimizers, init_ppo_params, init_ppo_state, make_ppo_step
from grpo_jax.steps.update import init_state
from grpo_jax.types import Batch

_ANSWERS = 256  # of a batch
_RESAMPLED = 200
# Plain descent with rate 1: what a step adds is the gradient.
_PLAIN = (optax.identity(), lambda _: 1.0)
# Updates of the critic alone, before its advantages are looked at, and their learning rate.
_CRITIC_STEPS, _CRITIC_RATE = 100, 1e-3


def relative_variance(name: str, batches: int) -> tuple[float, float, float]:
  """`noise_to_signal` of the policy's gradient over batches of 256 answers, with its interval.

  With a shared trunk the value loss has next to no weight: the gradient is the policy's own.
  """
  setting, stage, policy = _setting(name)
  gradient = (_ppo if isinstance(stage, PPO) else _grpo)(setting, stage, policy)
  gradients = np.stack([gradient(step).astype(np.float64) for step in range(1000, 1000 + batches)])
  return noise_to_signal(gradients @ gradients.T)


def noise_to_signal(products: np.ndarray) -> tuple[float, float, float]:
  """E |g - E g|^2 / |E g|^2, and the 5th and 95th percentile of it under resampling of batches.

  1 is as much noise as signal in one batch. |E g|^2 is estimated without bias, as the mean of
  g_i . g_j over pairs of different batches, and E |g - E g|^2 as the mean of |g_i|^2 less that.

  Args:
    products: f64[n,n], g_i . g_j of n batches.
  """
  count = len(products)
  rng = np.random.default_rng(0)
  drawn = [rng.integers(count, size=count) for _ in range(_RESAMPLED)]
  again = [_ratio(products, rows) for rows in drawn]
  return (_ratio(products, np.arange(count)), *np.percentile(again, [5, 95]))


def _ratio(products: np.ndarray, rows: np.ndarray) -> float:
  """Of the batches `rows`; one that was drawn twice makes no pair with itself."""
  different = rows[:, None] != rows
  signal = products[np.ix_(rows, rows)][different].mean()
  return float((products[rows, rows].mean() - signal) / signal)


def _setting(name: str) -> tuple[Setting, config.GRPO, dict]:
  experiment = grpo_vs_ppo.get_config(name)
  stage = experiment.stages["rl"]
  assert isinstance(stage, config.GRPO)
  stage.rollout.prompts, stage.minibatches = _ANSWERS // stage.rollout.group_size, 1
  config.check(experiment)
  policy, devices = load_policy(experiment), make_devices(experiment.parallel)
  task = tasks.build(experiment.task)
  setting = Setting(experiment, 0, policy.network, policy.tokenizer, task, devices)
  return setting, stage, policy.params


def _flat(before: dict, after: dict) -> np.ndarray:
  leaves = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
  return np.concatenate([np.ravel(np.asarray(a) - np.asarray(b)) for a, b in leaves])


def _grpo(setting: Setting, stage: config.GRPO, policy: dict) -> Callable[[int], np.ndarray]:
  gather = make_gather(setting, stage)
  look = make_looks(setting, stage, None, lambda params: params)
  step = jax.jit(make_grpo_step(setting.network, stage.loss, *_PLAIN, length_budget=4))
  make_batch = make_batch_maker(setting.devices, stage, setting.name)

  def gradient(number: int) -> np.ndarray:
    answers, _ = gather(policy, number)
    batch = make_batch(answers, look(policy, answers))
    state, _ = step(init_state(policy, _PLAIN[0]), batch)
    return _flat(policy, state.params)

  return gradient


def _ppo(setting: Setting, stage: PPO, policy: dict) -> Callable[[int], np.ndarray]:
  """With a critic that has learned the fixed policy's values."""
  gather = make_gather(setting, stage)
  look = make_looks(setting, stage, None, lambda params: params["policy"])
  make_batch = make_ppo_batch_maker(setting, stage)
  params = init_ppo_params(setting.network, policy, shared=stage.critic == "shared")
  state = init_ppo_state(params, _critic_alone(stage))
  learn = jax.jit(_step(setting, stage, _critic_alone(stage), value_coefficient=1.0))

  def batch_of(params: dict, number: int) -> Batch:
    answers, _ = gather(params["policy"], number)
    return make_batch(params, answers, look(params, answers))

  for number in range(_CRITIC_STEPS):
    state, metrics = learn(state, batch_of(state.params, number))
  explained = metrics_lib.read(metrics)["value/explained_variance"]
  print(f"{stage.critic} critic: explained variance {explained:.2f}", flush=True)
  critic, parts = state.params, {"policy", "critic"} & set(state.params)
  optimizers = dict.fromkeys(parts, _PLAIN)
  step = jax.jit(_step(setting, stage, optimizers, value_coefficient=1e-9))

  def gradient(number: int) -> np.ndarray:
    after, _ = step(init_ppo_state(critic, optimizers), batch_of(critic, number))
    return _flat(critic["policy"], after.params["policy"])

  return gradient


def _critic_alone(stage: PPO) -> Optimizers:
  """Adam for the critic, or for the head on a shared trunk; the policy stays."""
  still, adam = optax.set_to_zero(), optax.scale_by_adam()
  rate = lambda _: _CRITIC_RATE  # noqa: E731
  if stage.critic == "separate":
    return {"policy": (still, rate), "critic": (adam, rate)}
  head_alone = optax.multi_transform(
    {"policy": still, "head": adam}, {"policy": "policy", "head": "head"}
  )
  return {"policy": (head_alone, rate)}


def _step(setting: Setting, stage: PPO, optimizers: Optimizers, *, value_coefficient: float):
  return make_ppo_step(
    setting.network,
    stage.loss,
    optimizers,
    value_coefficient=value_coefficient,
    value_clip=0,
    length_budget=4,
  )
