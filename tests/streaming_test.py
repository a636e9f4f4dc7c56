"""Tokens that are written a few at a time are those of a rollout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax import config, model
from grpo_jax.rollout import make_rollout
from grpo_jax.streaming import make_streaming
from tests import toys

_T, _STOP = 8, 5


def _streamed(net, params, prompt, *, chunk=4, seed=0, temperature=1.0, greedy=False, **filters):
  own = make_streaming(net, max_tokens=_T, chunk=chunk, greedy=greedy, **filters)
  served, stream = jax.jit(own.lay_out)(params), jax.jit(own.begin)(params, prompt)
  advance, found = jax.jit(own.advance, donate_argnums=1), []
  for _ in range(_T // chunk):
    stream, tokens = advance(served, stream, jax.random.key(seed), jnp.float32(temperature))
    found += np.asarray(tokens).tolist()
  return found


@pytest.mark.parametrize("family", toys.FAMILIES)
def test_greedy_tokens_are_those_of_a_rollout(family):
  net = toys.network(**toys.FAMILIES[family])
  params, prompt = toys.random_params(net), toys.prompts([[3, 4, 9, 2]], width=6, filler=7)
  rollout = make_rollout(net, group_size=1, max_tokens=_T, stop_ids=[_STOP], temperature=0.0)
  whole = jax.jit(rollout)(params, prompt, jax.random.split(jax.random.key(0), 1))
  count = int(whole.mask.sum())
  assert _streamed(net, params, prompt, greedy=True)[:count] == whole.tokens[0, 0, :count].tolist()


def test_adapters_are_of_the_policy():
  net = toys.network()
  params, lora = toys.random_params(net), config.LoRA(rank=2)
  own = model.adapted(toys.random_adapters(net, lora), model.frozen_base(params, lora.scale))
  prompt = toys.prompts([[3, 4, 9, 2]])
  adapted = _streamed(net, own, prompt, greedy=True)
  assert adapted == _streamed(net, model.merged(own), prompt, greedy=True)
  assert adapted != _streamed(net, params, prompt, greedy=True)


def test_how_many_are_written_at_a_time_changes_nothing():
  net = toys.network()
  params, prompt = toys.random_params(net), toys.prompts([[3, 4, 9, 2]])
  by_chunk = [_streamed(net, params, prompt, chunk=chunk, top_p=0.9) for chunk in (1, 2, 8)]
  assert by_chunk[0] == by_chunk[1] == by_chunk[2]
  assert by_chunk[0] != _streamed(net, params, prompt, seed=1, top_p=0.9)


def test_samples_are_of_the_filtered_distribution():
  """A Markov chain: the next token's probabilities are in a table, at temperature 2 their roots."""
  net, table = toys.markov_network(), np.full((toys.V, toys.V), -20.0)
  table[:, 1], table[:, 2], table[:, 3] = np.log(0.7), np.log(0.2), np.log(0.1)
  params, prompt = toys.markov_params(net, table), toys.prompts([[3, 4]])
  own = make_streaming(net, max_tokens=64, chunk=64, top_k=2)
  served, stream = jax.jit(own.lay_out)(params), jax.jit(own.begin)(params, prompt)
  advance = jax.jit(own.advance)
  drawn = np.concatenate(
    [advance(served, stream, jax.random.key(s), jnp.float32(2.0))[1] for s in range(40)]
  )
  assert set(drawn) == {1, 2}
  wanted = 0.7**0.5 / (0.7**0.5 + 0.2**0.5)
  assert np.mean(drawn == 1) == pytest.approx(wanted, abs=4 * (0.25 / len(drawn)) ** 0.5)


@pytest.mark.parametrize(("most", "chunk"), [(8, 3), (0, 1), (8, 0)])
def test_a_cache_is_made_of_whole_chunks(most, chunk):
  with pytest.raises(ValueError, match="must be a multiple of chunk"):
    make_streaming(toys.network(), max_tokens=most, chunk=chunk)
