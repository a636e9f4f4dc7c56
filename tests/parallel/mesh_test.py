"""A mesh: the same run as on one device, each device with its share of the state."""

import os
import subprocess
import sys

import jax
import numpy as np
import optax
import pytest

from grpo_jax import config
from grpo_jax.config import ConfigError, Parallel
from grpo_jax.model import ANYWHERE
from grpo_jax.parallel import MeshDevices, make_mesh, table
from grpo_jax.parallel.rules import RULES, SERVED, shardings
from grpo_jax.run.checkpoint import Checkpointer
from grpo_jax.steps import make_grpo_step
from grpo_jax.steps.update import init_state
from tests import toys
from tests.parallel.layouts import LAYOUTS
from tests.steps import invariance_test as small

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def _devices(count=4, **axes) -> MeshDevices:
  return MeshDevices(make_mesh(Parallel(mode="mesh", **axes), jax.devices()[:count]))


_QUICK = ("data 2 x fsdp 2 x tensor 2",)  # of `make test`: all axes at once


def _found(kind, folder, names) -> dict[str, dict[str, np.ndarray]]:
  """What the run of each layout is: a process with eight devices."""
  out = str(folder / "found.npz")
  command = [sys.executable, "-m", "tests.parallel.layouts", kind, out, *names]
  done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr[-3000:]
  whole = np.load(out)
  parts = ("figures", "texts", "params")
  return {name: {part: whole[f"{name}/{part}"] for part in parts} for name in names}


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
  return _found("grpo", tmp_path_factory.mktemp("layouts"), ("single", *_QUICK))


@pytest.mark.parametrize("name", _QUICK)
def test_every_layout_of_eight_devices_makes_the_same_run(layouts, name):
  """Tokens, then gradient norm, reward, entropy and loss of five steps, then the parameters.

  Pitfalls 9 and 19: no group straddles in a way that changes its statistics, and no key depends on
  the number of devices.
  """
  _assert_same(layouts[name], layouts["single"])


@pytest.mark.slow
def test_every_other_layout_makes_the_same_run(tmp_path):
  found = _found("grpo", tmp_path, [name for name in LAYOUTS if name not in _QUICK])
  for name in found:
    _assert_same(found[name], found["single"])


def _assert_same(found, alone):
  np.testing.assert_array_equal(found["texts"], alone["texts"])
  np.testing.assert_allclose(found["figures"], alone["figures"], rtol=1e-5)
  np.testing.assert_allclose(found["params"], alone["params"], atol=5e-5)


def test_the_answers_of_the_proof_differ_in_length_and_the_figures_move(layouts):
  """Or the comparison would say little."""
  alone = layouts["single"]
  assert len({len(text) for text in alone["texts"]}) > 3
  assert np.ptp(alone["figures"], axis=0).min() > 1e-3


@pytest.mark.slow
def test_every_layout_makes_the_same_run_with_a_critic(tmp_path):
  found = _found("ppo", tmp_path, LAYOUTS)
  for name in LAYOUTS:
    same = np.mean(found[name]["texts"] == found["single"]["texts"])
    assert same > 0.99, name  # rounding may tip a draw
    np.testing.assert_allclose(found[name]["params"], found["single"]["params"], atol=1e-3)


@pytest.mark.parametrize(
  ("axes", "parts"),
  [({}, 1), ({"fsdp": 2}, 1), ({"fsdp": 4}, 1), ({"tensor": 4}, 2), ({"tensor": 2}, 2)],
)
def test_the_gradient_does_not_depend_on_the_mesh(axes, parts):
  """Property 1, with every term of the loss on."""
  batch, devices = small._batch(), _devices(**axes)
  step = make_grpo_step(
    small.NETWORK,
    small.EVERY_TERM,
    optax.identity(),
    lambda _: 1.0,
    temperature=0.8,
    length_budget=small.BUDGET,
    micro_batches=parts,
  )
  state = devices.replicate(init_state(small._params(), optax.identity()))
  after, _ = devices.compile(step)(state, devices.split(batch))
  expected, _ = small._gradient(batch, small.EVERY_TERM)
  found = jax.tree.map(lambda a, b: a - np.asarray(b), small._params(), after.params)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6), found, expected)


def test_each_device_has_its_share_of_weights_and_moments_before_and_after_an_update():
  net = toys.network(heads=4, kv_heads=4)
  optimizer, devices = optax.adam(1e-3), _devices(fsdp=2, tensor=2)

  def bump(state):
    direction, moments = optimizer.update(state.params, state.opt_state)
    return state.replace(params=optax.apply_updates(state.params, direction), opt_state=moments)

  params = toys.random_params(net)
  state = devices.replicate(devices.init(lambda p: init_state(p, optimizer), params))
  for _ in range(2):
    for tree in (state.params, state.opt_state[0].mu, state.opt_state[0].nu):
      query = tree["layers"]["query"]
      assert query.addressable_shards[0].data.shape == (2, 8, 2, 8)  # L, D / 2, N / 2, H
      assert tree["layers"]["attention_norm"].sharding.is_fully_replicated
    state = devices.compile(bump, donate=(0,))(state)


def test_a_whole_copy_is_never_made_to_begin_with():
  net, devices = toys.network(heads=4, kv_heads=4), _devices(fsdp=4)
  state = devices.init(lambda p: init_state(p, optax.adam(1e-3)), toys.random_params(net))
  mu = state.opt_state[0].mu["layers"]["gate"]
  assert mu.addressable_shards[0].data.size * 4 == mu.size


def test_what_an_axis_does_not_divide_stays_whole():
  """Three key heads over four devices: the queries are split, the keys are not."""
  net = toys.network(heads=12, kv_heads=3)
  mesh = _devices(tensor=4).mesh
  found = shardings(mesh, net.abstract())["layers"]
  assert tuple(found["query"].spec) == (None, "fsdp", "tensor", None)
  assert tuple(found["key"].spec) == (None, "fsdp", None, None)


def test_every_weight_of_the_decoder_has_a_rule_and_every_rule_a_weight():
  """A weight that no rule names would be whole on every device, in silence."""
  names = set()
  for family in toys.FAMILIES.values():
    params = toys.network(**family).abstract()
    names |= {name for name in (params | params["layers"]) if name != "layers"}
  large = {name for name in names if "norm" not in name}
  assert large == RULES.keys()
  assert {name for name in large if not name.endswith("_bias")} - {"embed"} == SERVED.keys()


def test_the_table_names_every_parameter_with_its_split_and_share():
  net = toys.network(heads=4, kv_heads=4)
  lines = table(Parallel(mode="mesh", fsdp=2, tensor=2), net.abstract()).splitlines()
  (row,) = (line.split() for line in lines if line.startswith("layers.gate"))
  # 2 layers x 16 x 24 numbers of four bytes over four devices.
  assert row == ["layers.gate", "2x16x24", "-,", "fsdp,", "tensor", "0.001"]
  assert len(lines) == 2 + len(jax.tree.leaves(net.abstract()))


@pytest.mark.parametrize("axes", [{"data": 3}, {"fsdp": 3}, {"data": 2, "fsdp": 2, "tensor": 2}])
def test_a_mesh_that_does_not_multiply_out_is_one_line(axes):
  with pytest.raises(ConfigError, match="does not use all of 4 devices"):
    _devices(**axes)


@pytest.mark.parametrize("mode", ["single", "pmap"])
def test_axes_of_a_mesh_are_refused_elsewhere(mode):
  with pytest.raises(ConfigError, match="tensor=2 are of mode='mesh'"):
    config.check(Parallel(mode=mode, tensor=2))


def test_on_one_device_nothing_is_placed():
  tree = {"a": np.ones(3)}
  assert ANYWHERE.rows(tree) is tree
  assert ANYWHERE.gathered(tree) is tree


_READ = """
import sys
from grpo_jax import config
from grpo_jax.run.checkpoint import Checkpointer
checkpoints = Checkpointer(sys.argv[1], config.Checkpoint())
print(float(checkpoints.saved(1)["params"]["embed"].sum()))
"""


def test_a_checkpoint_of_four_devices_is_read_where_there_is_one(tmp_path):
  """As by `experiments.export` on a laptop."""
  params = toys.random_params(toys.network())
  state = _devices(fsdp=4).replicate(init_state(params, optax.identity()))
  checkpoints = Checkpointer(str(tmp_path), config.Checkpoint())
  checkpoints.save(1, state, None)
  checkpoints.close()
  command = [sys.executable, "-c", _READ, str(tmp_path)]
  alone = os.environ | {"XLA_FLAGS": ""}
  found = subprocess.run(command, cwd=_ROOT, env=alone, capture_output=True, text=True)
  assert found.returncode == 0, found.stderr
  assert float(found.stdout) == pytest.approx(float(params["embed"].sum()), rel=1e-5)
