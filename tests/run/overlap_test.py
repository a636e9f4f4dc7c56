"""Answers sampled ahead: by which policy, on which devices, and a killed run goes on the same."""

import dataclasses
import os
import signal
import threading

import jax
import numpy as np
import pytest

from grpo_jax import config
from grpo_jax.config import ConfigError, check
from grpo_jax.parallel import ONE_DEVICE
from grpo_jax.run import loop, overlap
from grpo_jax.run.overlap import policy_step
from grpo_jax.run.stage import Setting
from grpo_jax.run.stopping import StopError
from tests.run import stages_test
from tests.run.stopping_test import _figures

_CORRECTED = {"loss": config.LossConfig(sampler_correction="truncate")}


def _experiment(staleness, parallel=None, steps=7, **fields):
  stage = stages_test._grpo(steps=steps, staleness=staleness, **(_CORRECTED | fields))
  own = stages_test.experiment({"rl": stage}, every=4)
  own.checkpoint.every = 4
  own.parallel = config.Parallel(**(parallel or {}))
  return own


def _run(workdir, *args, fault="", **fields):
  loop.run(_experiment(*args, **fields), str(workdir), say=lambda _: None, fault=fault)
  return [line for line in _figures(workdir) if "train/lr" in line]


@pytest.mark.parametrize(
  ("staleness", "expected"),
  [
    (0, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
    (1, [0, 0, 1, 2, 4, 4, 5, 6, 8]),
    (2, [0, 0, 0, 1, 4, 4, 4, 5, 8]),
    (9, [0, 0, 0, 0, 4, 4, 4, 4, 8]),
  ],
)
def test_which_policy_answers_a_step(staleness, expected):
  """As old as may be, but not older than the last state that was kept, every fourth."""
  found = [policy_step(step, staleness, lambda step: step % 4 == 0) for step in range(9)]
  assert found == expected


@dataclasses.dataclass(frozen=True)
class _Answers:
  seconds: np.ndarray


def _gathered(staleness, steps):
  """What a gather is asked, in its order, and from which threads."""
  own, asked, threads = _experiment(staleness, steps=steps), [], set()

  def gather(policy, step):
    asked.append((step, int(policy["at"])))
    threads.add(threading.current_thread())
    return _Answers(np.zeros(2)), np.arange(4)

  setting = Setting(own, 0, None, None, None, ONE_DEVICE)
  ahead = overlap.Overlap(setting, own.stages["rl"], gather)
  for step in range(steps):
    ahead({"at": jax.numpy.int32(step)}, step)
  return asked, threads


def test_each_step_is_asked_once_in_order_of_the_right_policy():
  asked, threads = _gathered(2, 7)
  assert asked == [(0, 0), (1, 0), (2, 0), (3, 1), (4, 4), (5, 4), (6, 4)]
  assert threading.current_thread() not in threads
  assert len(threads) == 1


@pytest.mark.slow
def test_the_policy_of_a_step_can_be_overwritten_as_soon_as_it_was_given(tmp_path):
  """Updates take the memory of the state; without a copy this would fail or sample the next one."""
  first, again = _run(tmp_path / "a", 1), _run(tmp_path / "b", 1)
  assert first == again
  assert [line["rollout/staleness"] for line in first] == [0, 1, 1, 1, 0, 1, 1]


def test_the_first_steps_are_those_without_and_staleness_shows_in_the_mismatch(tmp_path):
  stale, fresh = _run(tmp_path / "stale", 1), _run(tmp_path / "fresh", 0, loss=_LOSS)
  assert stale[0]["reward/mean"] == fresh[0]["reward/mean"]
  assert stale[0]["train/grad_norm"] == fresh[0]["train/grad_norm"]
  assert "rollout/staleness" not in fresh[0]
  assert max(line["mismatch/log_mean"] for line in fresh) < 1e-5
  assert max(line["mismatch/log_mean"] for line in stale) > 1e-3


_LOSS = config.LossConfig(sampler_correction="truncate")


@pytest.mark.slow
@pytest.mark.parametrize(
  "parallel", [{"sampling": 1}, {"sampling": 2, "mode": "mesh", "fsdp": 2}], ids=str
)
def test_devices_of_their_own_sample_the_same(tmp_path, parallel):
  """On the last devices, by copies of the policy: the run is that of one device."""
  alone, apart = _run(tmp_path / "alone", 1), _run(tmp_path / "apart", 1, parallel)
  for one, other in zip(alone, apart, strict=True):
    assert one["reward/mean"] == other["reward/mean"]
    assert one["length/mean"] == other["length/mean"]
    assert one["policy/entropy"] == pytest.approx(other["policy/entropy"], rel=1e-5)


@pytest.mark.fault(1)
@pytest.mark.parametrize("lora", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_run_that_is_stopped_goes_on_the_same(tmp_path, lora):
  """It is left where it is always saved: what was sampled ahead is sampled again."""
  fields = {"lora": config.LoRA(rank=lora)}
  whole = _run(tmp_path / "whole", 2, **fields)
  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  try:
    with pytest.raises(StopError):
      _run(tmp_path / "left", 2, fault="sigterm:update@7", **fields)
  finally:
    signal.signal(signal.SIGINT, before)
  kept = [int(name) for name in os.listdir(tmp_path / "left" / "checkpoints") if name.isdigit()]
  assert max(kept) == 4
  assert _run(tmp_path / "left", 2, **fields) == whole


def test_what_fails_in_the_thread_ends_the_run_with_its_line(tmp_path):
  reward = tmp_path / "reward.py"
  reward.write_text("def unknown(prompt, completion, fields):\n  return float('nan')\n")
  with pytest.raises(RuntimeError, match="could score none of"):
    _run(tmp_path / "run", 1, rewards={f"{reward}:unknown": 1.0})


@pytest.mark.parametrize(
  ("staleness", "parallel", "fields", "said"),
  [
    (1, {}, {"loss": config.LossConfig()}, "learns from answers of older policies"),
    (0, {"sampling": 1}, {}, "parallel.sampling=1 needs a stage with staleness"),
    (1, {"mode": "pmap"}, {}, "needs devices of its own to"),
    (1, {"mode": "mesh"}, {}, "needs devices of its own to"),
    (1, {"mode": "pmap", "sampling": 1}, {}, "pmap takes all devices"),
  ],
)
def test_what_cannot_be_is_one_line(staleness, parallel, fields, said):
  with pytest.raises(ConfigError, match=said):
    check(_experiment(staleness, parallel, **fields))


def test_devices_that_are_not_there_or_do_not_divide_are_one_line(tmp_path):
  with pytest.raises(ConfigError, match="of 4 devices leaves none to learn with"):
    _run(tmp_path / "a", 1, {"sampling": 4})
  with pytest.raises(ConfigError, match=r"rollout\.prompts = 4 is not divisible by 3 devices"):
    _run(tmp_path / "b", 1, {"sampling": 3})


def test_members_of_a_population_do_not():
  own = _experiment(1)
  own.population = config.Population(size=2)
  with pytest.raises(ConfigError, match="members wait for each other"):
    check(own)
