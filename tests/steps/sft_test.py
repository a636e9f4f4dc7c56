"""The supervised update: the likelihood of answers, and of nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from grpo_jax import metrics
from grpo_jax.parallel import Devices
from grpo_jax.steps import make_sft_step
from grpo_jax.steps.update import init_state
from tests import references, toys

ROWS = [[1, 2, 3], [4], [5, 6], [7, 8, 9, 10]]
TOKENS = np.array([[3, 4, 0], [9, 0, 0], [2, 2, 2], [11, 12, 0]], np.int32)[:, None]
MASK = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 1, 0]], bool)[:, None]
NETWORK = toys.network(layers=1)


def _update(rows=None, tokens=TOKENS, micro_batches=1, devices=None):
  """Minus what one step of plain descent with lr 1 added, and the loss."""
  devices = devices or Devices(1, None)
  step = make_sft_step(
    NETWORK,
    optax.identity(),
    lambda _: 1.0,
    micro_batches=micro_batches,
    axis_name=devices.axis_name,
  )
  params = toys.random_params(NETWORK)
  state = devices.replicate(init_state(params, optax.identity()))
  batch = (toys.prompts(rows or ROWS), jnp.asarray(tokens), jnp.asarray(MASK))
  state, figures = devices.compile(step)(state, devices.split(batch))
  gradient = jax.tree.map(lambda a, b: a - b, params, devices.first(state.params))
  return gradient, metrics.read(devices.first(figures))["loss/sft"]


def _same(left, right):
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=3e-6), left, right)


def test_the_loss_is_the_mean_over_the_answers_tokens():
  """Pitfalls 1, 3 and 20: by the float64 decoder, token by token; prompts carry no loss."""
  params, total = toys.random_params(NETWORK), 0.0
  for row, tokens, mask in zip(ROWS, TOKENS[:, 0], MASK[:, 0], strict=True):
    answer = tokens[mask].tolist()
    logits = toys.reference_logits(NETWORK.architecture, params, row + answer[:-1])
    log_p = [references.log_softmax(one) for one in logits[len(row) - 1 :]]
    total -= sum(one[token] for one, token in zip(log_p, answer, strict=True))
  assert _update()[1] == pytest.approx(total / MASK.sum(), rel=1e-4)


def test_what_follows_the_stop_token_changes_nothing():
  gradient, loss = _update()
  noisy_gradient, noisy = _update(tokens=np.where(MASK, TOKENS, 17))
  assert noisy == loss
  _same(gradient, noisy_gradient)


@pytest.mark.parametrize(
  ("parts", "devices"), [(2, None), (4, None), (1, Devices(4, "d")), (2, Devices(2, "d"))]
)
def test_any_cut_gives_the_same_gradient(parts, devices):
  """Pitfall 7: a mean over all tokens, not a mean of means."""
  gradient, loss = _update()
  cut_gradient, cut_loss = _update(micro_batches=parts, devices=devices)
  assert cut_loss == pytest.approx(loss, rel=1e-5)
  _same(gradient, cut_gradient)
