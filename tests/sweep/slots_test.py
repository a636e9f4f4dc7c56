"""Cores and GPUs, divided."""

import pytest

from grpo_jax.config import ConfigError
from grpo_jax.sweep import slots
from grpo_jax.sweep.slots import make_slots, own_gpus


def test_cores_are_divided_evenly_and_all_are_used():
  parts = [slot.cores for slot in make_slots(3, 1, range(8), [])]
  assert sorted(sum(parts, ())) == list(range(8))
  assert {len(part) for part in parts} <= {2, 3}
  assert make_slots(1, 1, range(8), [])[0].cores == ()
  assert [slot.cores for slot in make_slots(3, 1, [5, 6], [])] == [(5,), (6,), (5,)]


def test_each_trial_has_its_own_gpus():
  found = make_slots(2, 2, range(4), ["0", "3", "5", "7"])
  assert [slot.variables["CUDA_VISIBLE_DEVICES"] for slot in found] == ["0,3", "5,7"]
  assert found[0].name == "GPU 0,3"


def test_too_few_gpus_is_one_line():
  with pytest.raises(ConfigError, match="needs 4, and 3 are at hand: --jobs=1"):
    make_slots(2, 2, range(4), ["0", "1", "2"])
  with pytest.raises(ConfigError, match="no GPU is at hand"):
    make_slots(1, 2, range(4), [])


@pytest.mark.parametrize(
  ("variables", "found"),
  [
    ({"CUDA_VISIBLE_DEVICES": "1,GPU-ab"}, ["1", "GPU-ab"]),
    ({"CUDA_VISIBLE_DEVICES": ""}, []),
    ({"CUDA_VISIBLE_DEVICES": "-1"}, []),
    ({"CUDA_VISIBLE_DEVICES": "1", "JAX_PLATFORMS": "cpu"}, []),
    ({"CUDA_VISIBLE_DEVICES": "1", "JAX_PLATFORMS": "cuda,cpu"}, ["1"]),
  ],
)
def test_gpus_are_those_that_a_child_would_see(variables, found):
  assert own_gpus(variables) == found


def test_nvidia_smi_is_asked(monkeypatch, tmp_path):
  program = tmp_path / "nvidia-smi"
  program.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
  program.chmod(0o755)
  monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
  assert own_gpus({}) == ["0", "1"]
  monkeypatch.setattr(slots.subprocess, "run", _missing)
  assert own_gpus({}) == []


def _missing(*_, **__):
  raise FileNotFoundError
