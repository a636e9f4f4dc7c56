import pytest

from grpo_jax.config import ConfigError
from grpo_jax.plan.hardware import DEVICES, parse_topology


@pytest.mark.parametrize(
  ("text", "name", "count"),
  [
    ("v5p:4x4x4", "v5p", 64),
    ("v5e:2x2", "v5e", 4),
    ("v5p:4096", "v5p", 4096),
    ("h100:8", "h100", 8),
    ("H100", "h100", 1),
    ("cpu", "cpu", 1),
  ],
)
def test_shapes_multiply_out(text, name, count):
  topology = parse_topology(text)
  assert (topology.device.name, topology.count) == (name, count)


@pytest.mark.parametrize(
  ("text", "said"),
  [
    ("v5pp:2x2x1", "did you mean 'v5p'"),
    ("h10:8", "did you mean 'h100'"),
    ("v5p:4x4", "3 dimensions"),
    ("v5e:2x2x2", "2 dimensions"),
    ("h100:2x2", "a count"),
    ("h100:two", "no shape"),
    ("v5e:0x4", "no device"),
    ("v5e:32x32", "1,024 chips, and a slice of v5e has at most 256"),
    ("", "known are"),
  ],
)
def test_a_bad_topology_is_one_line(text, said):
  with pytest.raises(ConfigError, match="--topology=") as error:
    parse_topology(text)
  assert said in str(error.value)
  assert "\n" not in str(error.value)


def test_devices_of_a_cpu_share_it():
  whole, eighth = parse_topology("cpu", cpu_memory=16e9), parse_topology("cpu:8", cpu_memory=16e9)
  assert eighth.device.memory == 2e9
  assert eighth.device.flops_float32 * 8 == whole.device.flops_float32
  assert eighth.device.bandwidth * 8 == whole.device.bandwidth


def test_beyond_a_group_bytes_go_through_the_network():
  inside, across = parse_topology("h100:8"), parse_topology("h100:16")
  assert inside.link == DEVICES["h100"].interconnect
  assert across.link == DEVICES["h100"].network


def test_every_device_has_its_source():
  assert all(device.source for device in DEVICES.values())
