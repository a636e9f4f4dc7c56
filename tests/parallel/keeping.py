"""Two steps of something small, and all that a run writes of its state: a program, one of COUNT.

python -m tests.parallel.keeping WORKDIR MODE PORT COUNT INDEX
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

from grpo_jax import config
from grpo_jax.parallel import cluster, make_devices, storage
from grpo_jax.run.checkpoint import Checkpointer
from grpo_jax.steps.update import init_state

MODES = {"pmap": {"mode": "pmap"}, "mesh": {"mode": "mesh", "fsdp": 2}}
_OPTIMIZER = optax.sgd(1.0)


def _init(params):
  return init_state(params, _OPTIMIZER)


def keep(workdir: str, mode: str) -> None:
  """Goes on from the newest checkpoint, if there is one; each step lowers `embed` by 1."""
  devices = make_devices(config.Parallel(**MODES[mode]))
  params = {"embed": jnp.arange(8.0).reshape(4, 2), "norm": jnp.ones(3)}
  checkpoints = Checkpointer(workdir, config.Checkpoint())
  done = checkpoints.latest() or 0
  if done:
    like = devices.like(jax.eval_shape(_init, params))
    state = devices.replicate(checkpoints.restore(done, like))
  else:
    state = devices.replicate(devices.init(_init, params))
  # Of the first start, whatever it is asked for later.
  first = checkpoints.pinned("policy", "grpo", devices.first(state.params))
  assert storage.fetch(first)["embed"][0, 0] == 0

  def step(state, rows):
    slope = jax.grad(lambda params: params["embed"].sum() * rows.mean())(state.params)
    if devices.axis_name:
      slope = jax.lax.pmean(slope, devices.axis_name)
    return state.replace(
      params=optax.apply_updates(state.params, jax.tree.map(jnp.negative, slope))
    )

  compiled = devices.compile(step, donate=(0,))
  for number in (done + 1, done + 2):
    state = compiled(state, devices.split(np.float32([1, 3, -1, 1])))
    checkpoints.save(number, devices.first(state), 0.5)
    checkpoints.save_best("grpo", devices.first(state.params))
  for like in (params, devices.first(state.params)):
    best = checkpoints.best("grpo", like)
    assert storage.fetch(best)["embed"][0, 0] == -done - 2
  checkpoints.close()


if __name__ == "__main__":
  workdir, mode, (port, count, index) = *sys.argv[1:3], map(int, sys.argv[3:])
  if count > 1:
    cluster.start(f"127.0.0.1:{port}", count, index, heartbeat_timeout_s=20)
  keep(workdir, mode)
  print("kept")
