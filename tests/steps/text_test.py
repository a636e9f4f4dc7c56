"""The update on packed texts: the likelihood of what is learned, however the batch is cut."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from grpo_jax import metrics
from grpo_jax.packing import Document, Packed, fill
from grpo_jax.parallel import Devices
from grpo_jax.steps import make_sft_step, make_text_loss, make_text_step
from grpo_jax.steps.update import init_state
from tests import references, toys

NETWORK = toys.network(layers=1)
# Tokens, and which are learned: as a text has them, and as two chats.
DOCUMENTS = [
  Document(np.array(tokens, np.int32), np.array(learned, bool))
  for tokens, learned in (
    ([1, 2, 3, 4], [1, 1, 1, 1]),
    ([5, 6, 7], [0, 0, 1]),
    ([8, 9, 10, 11, 12], [0, 1, 0, 0, 1]),
    ([13, 14], [1, 1]),
  )
]
PACKED = fill(DOCUMENTS, [[0, 1], [2], [3], []], 8)


def _update(packed=PACKED, micro_batches=1, devices=None):
  """Minus what one step of plain descent with lr 1 added, and the loss."""
  devices = devices or Devices(1, None)
  step = make_text_step(
    NETWORK,
    optax.identity(),
    lambda _: 1.0,
    micro_batches=micro_batches,
    axis_name=devices.axis_name,
  )
  params = toys.random_params(NETWORK)
  state = devices.replicate(init_state(params, optax.identity()))
  state, figures = devices.compile(step)(state, devices.split(packed))
  gradient = jax.tree.map(lambda a, b: a - b, params, devices.first(state.params))
  return gradient, metrics.read(devices.first(figures))["loss/text"]


def _same(left, right):
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=3e-6), left, right)


def _expected() -> float:
  """By the float64 decoder, token by token."""
  params, total, count = toys.random_params(NETWORK), 0.0, 0
  for tokens, learned in DOCUMENTS:
    logits = toys.reference_logits(NETWORK.architecture, params, tokens.tolist())
    for place in np.flatnonzero(learned[1:]):
      total -= references.log_softmax(logits[place])[tokens[place + 1]]
      count += 1
  assert count == 7
  return total / count


def test_the_loss_is_the_mean_over_what_is_learned():
  """Pitfalls 1 and 20: a document's first token is predicted from nothing, and not in the loss."""
  assert _update()[1] == pytest.approx(_expected(), rel=1e-5)


@pytest.mark.parametrize("devices", [Devices(1, None), Devices(2, "d")])
def test_the_held_out_loss_is_the_same_mean(devices):
  params = devices.replicate(toys.random_params(NETWORK))
  function = make_text_loss(NETWORK, axis_name=devices.axis_name)
  found = devices.compile(function)(params, devices.split(PACKED))
  assert metrics.read(devices.first(found))["eval/loss"] == pytest.approx(_expected(), rel=1e-5)


def test_packed_chats_give_the_update_of_answers_to_prompts():
  """The other way to the same gradient: a left-padded prompt, and an answer of its own."""
  asked, answers = [[1, 2, 3], [4], [5, 6]], [[7, 8], [9, 10, 11], [12]]
  whole = [
    Document(np.array(p + a, np.int32), np.array([False] * len(p) + [True] * len(a)))
    for p, a in zip(asked, answers, strict=True)
  ]
  gradient, loss = _update(fill(whole, [[0, 1], [2]], 10))
  tokens, mask = np.zeros((3, 1, 3), np.int32), np.zeros((3, 1, 3), bool)
  for row, answer in enumerate(answers):
    tokens[row, 0, : len(answer)], mask[row, 0, : len(answer)] = answer, True
  step = make_sft_step(NETWORK, optax.identity(), lambda _: 1.0)
  params = toys.random_params(NETWORK)
  batch = (toys.prompts(asked), jnp.asarray(tokens), jnp.asarray(mask))
  state, figures = jax.jit(step)(init_state(params, optax.identity()), batch)
  assert metrics.read(figures)["loss/sft"] == pytest.approx(loss, rel=1e-5)
  _same(gradient, jax.tree.map(lambda a, b: a - b, params, state.params))


def test_neither_padding_nor_places_change_the_gradient():
  gradient, loss = _update()
  moved = fill(DOCUMENTS, [[3, 2], [1], [], [0]], 10)
  noise = np.random.default_rng(0).integers(0, toys.V, moved.tokens.shape, np.int32)
  moved = Packed(
    np.where(moved.segments, moved.tokens, noise), moved.segments, jnp.asarray(moved.mask)
  )
  moved_gradient, moved_loss = _update(moved)
  assert moved_loss == pytest.approx(loss, rel=1e-5)
  _same(gradient, moved_gradient)


@pytest.mark.parametrize(
  ("parts", "devices"), [(2, None), (4, None), (1, Devices(4, "d")), (2, Devices(2, "d"))]
)
def test_any_cut_gives_the_same_gradient(parts, devices):
  """Pitfall 7: a mean over all tokens, not a mean of means; a part may have none."""
  gradient, loss = _update()
  cut_gradient, cut_loss = _update(micro_batches=parts, devices=devices)
  assert cut_loss == pytest.approx(loss, rel=1e-5)
  _same(gradient, cut_gradient)
