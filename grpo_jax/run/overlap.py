"""Answers of coming steps, sampled while earlier ones are learned from."""

import concurrent.futures
import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax.config import GRPO
from grpo_jax.model import Network
from grpo_jax.parallel import make_sampling_devices
from grpo_jax.run.answers import Answers
from grpo_jax.run.course import is_kept
from grpo_jax.run.stage import Setting
from grpo_jax.types import Params

# (policy after `step` steps, step) -> the answers that step learns from, and its rows
Gather = Callable[[Params, int], tuple[Answers, np.ndarray]]


def policy_step(step: int, staleness: int, kept: Callable[[int], bool]) -> int:
  """The step after which the policy was that answers the prompts of `step`, both from 0.

  `staleness` steps before, but not before the last state that was kept: a run that is resumed there
  has none that is older, and goes on as if it had not stopped.
  """
  oldest = max(step - staleness, 0)
  return next((s for s in range(step, oldest, -1) if kept(s)), oldest)


def sampling_setting(setting: Setting) -> Setting:
  """The setting as the sampler has it, on devices of its own where there are any."""
  devices = make_sampling_devices(setting.experiment.parallel)
  if devices is None:
    return setting
  plain = Network.from_config(setting.network.architecture, setting.experiment.model)
  network = devices.network(plain)
  return dataclasses.replace(setting, devices=devices, network=network, models={})


class Overlap:
  """A `Gather` that samples ahead, in a thread.

  Args:
    setting: as of `sampling_setting`.
    stage: how stale answers may be, and how many steps there are.
    gather: what samples; of the same setting.
  """

  def __init__(self, setting: Setting, stage: GRPO, gather: Gather):
    self._devices, self._gather, self._stage = setting.devices, gather, stage
    self._experiment, self._name = setting.experiment, setting.name
    self._apart = bool(setting.experiment.parallel.sampling)
    self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="sampling")
    self._coming: dict[int, concurrent.futures.Future] = {}
    self._copies: list[tuple[Any, Any]] = []  # leaves of the last policy, and their copies

  def __call__(self, policy: Params, step: int) -> tuple[Answers, np.ndarray]:
    """The answers of `step`; those of later steps that `policy` is to answer are begun.

    Their seconds of sampling are those that were waited for.
    """
    steps = range(step, min(step + self._stage.staleness + 1, self._stage.steps))
    mine = [n for n in steps if n not in self._coming and self.policy_step(n) == step]
    if mine:
      copy = self._copy(policy)  # an update may take the memory of the policy
      self._coming |= {n: self._thread.submit(self._gather, copy, n) for n in mine}
    began = time.monotonic()
    answers, rows = self._coming.pop(step).result()
    waited = np.array([time.monotonic() - began, 0.0])
    return dataclasses.replace(answers, seconds=waited), rows

  def close(self) -> None:
    """Waits for what is being sampled, and begins nothing more."""
    self._thread.shutdown(cancel_futures=True)

  def policy_step(self, step: int) -> int:
    """As the function."""
    return policy_step(step, self._stage.staleness, self.is_kept)

  def is_kept(self, step: int) -> bool:
    """Whether the state after so many steps is saved."""
    return is_kept(self._experiment, self._name, step)

  def _copy(self, policy: Params) -> Params:
    """A policy where it samples; what has not changed, as under adapters, is not sent again."""
    leaves, structure = jax.tree.flatten(policy)
    known = {id(leaf): copy for leaf, copy in self._copies}
    new = [leaf for leaf in leaves if id(leaf) not in known]
    put = self._devices.replicate(new) if self._apart else [jnp.copy(leaf) for leaf in new]
    known |= {id(leaf): copy for leaf, copy in zip(new, put, strict=True)}
    copies = [known[id(leaf)] for leaf in leaves]
    self._copies = list(zip(leaves, copies, strict=True))
    return jax.tree.unflatten(structure, copies)
