"""Devices that are here and not used, or asked for and not here."""

import pytest

from grpo_jax.config import ConfigError
from grpo_jax.run import machine


@pytest.fixture
def driver(tmp_path, monkeypatch):
  """As on a machine with a GPU, and jax without it."""
  path = tmp_path / "driver"
  path.touch()
  monkeypatch.setattr(machine, "_DRIVERS", {str(path): ("an NVIDIA GPU", "jax[cuda13]")})
  return path


@pytest.mark.fault(43)
def test_a_gpu_that_jax_does_not_see_is_told(driver, monkeypatch):
  said = []
  machine.check_devices(said.append)
  assert said == []  # CPUs were asked for
  monkeypatch.delenv("JAX_PLATFORMS")
  machine.check_devices(said.append)
  assert said == [
    "warning: an NVIDIA GPU is here, and jax has CPUs only: pip install 'jax[cuda13]'"
  ]
  driver.unlink()
  machine.check_devices(said.append)
  assert len(said) == 1


def test_what_jax_says_of_a_device_is_passed_on(monkeypatch):
  def devices():
    raise RuntimeError("Unable to initialize\nbackend 'tpu'")

  monkeypatch.setattr(machine.jax, "devices", devices)
  with pytest.raises(ConfigError, match=r"no such device \(Unable to initialize backend 'tpu'\)"):
    machine.check_devices(print)
