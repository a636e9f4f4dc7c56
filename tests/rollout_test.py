"""Sampled answers: where they end, what they cost in log-probs, and what they depend on."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from grpo_jax.logprobs import answer_logprobs
from grpo_jax.rollout import batch_sizes, make_rollout
from tests import references, toys

ROWS = [[3, 1, 4], [1], [5, 9, 2, 6, 5]]
P, G, T, STOP = 3, 4, 6, 9
NEVER = (toys.V + 1,)  # a stop token that is never drawn


@functools.cache
def model(family="llama"):
  net = toys.network(**toys.FAMILIES[family])
  return net, toys.random_params(net)


@functools.cache
def sampler(net, **settings):
  return jax.jit(make_rollout(net, **{"group_size": G, "max_tokens": T, **settings}))


def keys(seed=0, count=P):
  return jax.random.split(jax.random.key(seed), count)


def sample(family="llama", rows=ROWS, seed=0, width=None, **settings):
  net, params = model(family)
  settings = {"stop_ids": (STOP, 11), "temperature": 0.8, **settings}
  prompts = toys.prompts(rows, width=width, filler=STOP)
  return sampler(net, **settings)(params, prompts, keys(seed, len(rows)))


def chain(stop_ids=(STOP,), rows=((5,),), temperature=0.0, **settings):
  """A model that counts: after token v comes v + 1."""
  net = toys.markov_network()
  table = 50.0 * np.roll(np.eye(toys.V), 1, axis=1)
  run = sampler(net, stop_ids=stop_ids, temperature=temperature, **settings)
  rows = [list(row) for row in rows]
  return run(toys.markov_params(net, table), toys.prompts(rows), keys(0, len(rows)))


def prefix_of(length, T=T) -> list[bool]:
  return [t < length for t in range(T)]


# --- where an answer ends


def test_the_stop_token_is_in_the_mask_and_nothing_after_it():
  """Pitfall 3: 5 is followed by 6 7 8 and the stop token 9."""
  result = chain()
  for g in range(G):
    assert result.tokens[0, g, :4].tolist() == [6, 7, 8, 9]
    assert result.mask[0, g].tolist() == prefix_of(4)
  assert result.finished.all()


@pytest.mark.fault(19)
def test_a_first_token_that_stops_is_an_answer_of_length_1():
  """Property 9: not to be mistaken for an answer without a stop token."""
  result = chain(rows=[[8], [10]])
  assert result.mask[0, 0].tolist() == prefix_of(1)
  assert result.finished[0].all()
  assert result.mask[1, 0].tolist() == prefix_of(T)
  assert not result.finished[1].any()


@pytest.mark.fault(18)
def test_an_answer_that_the_budget_cuts_is_not_finished():
  """Pitfall 4: stop at the last place is finished, one place later is not."""
  result = chain(rows=[[3], [2]])
  assert result.tokens[0, 0].tolist() == [4, 5, 6, 7, 8, 9]
  assert result.finished[:, 0].tolist() == [True, False]
  assert result.mask.all()


def test_any_of_several_stop_tokens_ends():
  result = chain(stop_ids=(STOP, 7), rows=[[5], [7]])
  assert result.mask.sum(-1)[:, 0].tolist() == [2, 2]
  assert result.tokens[0, 0, 1] == 7
  assert result.tokens[1, 0, 1] == STOP


def test_a_stop_token_in_the_prompt_ends_nothing():
  """Pitfall 3: masks come from what was drawn, not from ids."""
  result = chain(rows=[[STOP, STOP, 5], [STOP]])
  assert result.mask.sum(-1)[:, 0].tolist() == [4, T]


def test_a_short_answer_waits_for_a_long_neighbour_unchanged():
  alone, beside = chain(rows=[[8]]), chain(rows=[[8], [12]])
  for name in ("mask", "logprobs", "finished"):
    np.testing.assert_array_equal(getattr(alone, name)[0], getattr(beside, name)[0])


def test_masks_are_prefixes_up_to_the_first_stop():
  result = sample(stop_ids=(STOP, 11, 2, 3))
  lengths = result.mask.sum(-1)
  assert len(np.unique(lengths)) > 2, "answers of several lengths, or nothing is tested"
  for p, g in np.ndindex(P, G):
    tokens, length = result.tokens[p, g].tolist(), int(lengths[p, g])
    stops = [t for t, token in enumerate(tokens[:length]) if token in (STOP, 11, 2, 3)]
    assert result.mask[p, g].tolist() == prefix_of(length)
    assert bool(result.finished[p, g]) == bool(stops)
    assert stops in ([], [length - 1])
    assert stops or length == T


# --- log-probs


@pytest.mark.parametrize("family", toys.FAMILIES)
def test_log_probs_are_those_of_the_reference(family):
  """Pitfall 5, property 8: prefill and decode against one full forward in float64, T = 0.8."""
  result = sample(family)
  net, params = model(family)
  for p, row in enumerate(ROWS):
    for g in range(2):
      answer = result.tokens[p, g].tolist()[: int(result.mask[p, g].sum())]
      logits = toys.reference_logits(net.architecture, params, row + answer)[len(row) - 1 : -1]
      expected = [
        references.log_softmax(z / 0.8)[token] for z, token in zip(logits, answer, strict=True)
      ]
      np.testing.assert_allclose(result.logprobs[p, g, : len(answer)], expected, atol=1e-4)


@pytest.mark.parametrize("family", toys.FAMILIES)
def test_sampler_and_trainer_agree(family):
  """Pitfall 11: the mismatch that is logged is rounding, at the temperature of the sampler."""
  result = sample(family)
  net, params = model(family)
  trained, _ = answer_logprobs(net, params, result, temperature=0.8)
  difference = jnp.where(result.mask, trained - result.logprobs, 0)
  assert np.abs(difference).max() < 1e-5


def test_log_probs_are_of_the_filtered_distribution():
  """Pitfall 6: renormalised over what top_k left."""
  result = sample(top_k=3)
  net, params = model()
  for p, row in enumerate(ROWS):
    answer = result.tokens[p, 0].tolist()[: int(result.mask[p, 0].sum())]
    logits = toys.reference_logits(net.architecture, params, row + answer)[len(row) - 1 : -1]
    for t, token in enumerate(answer):
      left = references.filtered_probabilities(logits[t], temperature=0.8, top_k=3)
      np.testing.assert_allclose(np.exp(result.logprobs[p, 0, t]), left[token], rtol=1e-3)


# --- what is drawn


def test_greedy_is_the_argmax_of_the_reference_and_top_k_1_is_greedy():
  greedy, one = sample(temperature=0.0, stop_ids=NEVER), sample(top_k=1, stop_ids=NEVER)
  np.testing.assert_array_equal(greedy.tokens, one.tokens)
  np.testing.assert_allclose(one.logprobs, 0, atol=1e-6)
  net, params = model()
  for p, row in enumerate(ROWS):
    for t in range(T):
      sofar = row + greedy.tokens[p, 0].tolist()[:t]
      best = toys.reference_logits(net.architecture, params, sofar)[-1].argmax()
      assert greedy.tokens[p, 0, t] == best


def test_answers_follow_the_model():
  """Chi-square over pairs of tokens of 20,000 answers, T = 0.7; the first one too: Pitfall 2."""
  net, count = toys.markov_network(), 20_000
  table = np.random.default_rng(0).normal(size=(toys.V, toys.V))
  run = sampler(net, stop_ids=NEVER, temperature=0.7, group_size=count, max_tokens=2)
  result = run(toys.markov_params(net, table), toys.prompts([[3, 7]], width=4), keys(0, 1))
  p = np.exp([references.log_softmax(row / 0.7) for row in table])
  expected = count * p[7][:, None] * p
  observed = np.zeros_like(expected)
  np.add.at(observed, tuple(np.asarray(result.tokens[0]).T), 1)
  likely = expected >= 5
  observed, expected = (np.append(x[likely], x[~likely].sum()) for x in (observed, expected))
  assert stats.chisquare(observed, expected * (count / expected.sum())).pvalue > 1e-3


def test_the_same_key_gives_the_same_answers_and_another_others():
  one, again, other = sample(stop_ids=NEVER), sample(stop_ids=NEVER), sample(seed=1, stop_ids=NEVER)
  np.testing.assert_array_equal(one.tokens, again.tokens)
  np.testing.assert_array_equal(one.logprobs, again.logprobs)
  assert (one.tokens != other.tokens).any((-1, -2)).all()


def test_answers_of_a_group_differ():
  """Pitfall 19: one key for a group would make its variance zero."""
  tokens = np.asarray(sample(stop_ids=NEVER).tokens)
  assert all(len(np.unique(group, axis=0)) > 1 for group in tokens)
  assert len(np.unique(tokens.reshape(-1, T), axis=0)) >= 0.75 * P * G


def test_equal_prompts_with_their_own_keys_differ():
  """Pitfall 24: the same prompt twice in a batch is two groups."""
  tokens = sample(rows=[[1, 2], [1, 2], [1, 2]], stop_ids=NEVER).tokens
  assert (tokens[0] != tokens[1]).any()


def test_splitting_the_batch_of_prompts_changes_no_token():
  """Pitfalls 2, 19: a key belongs to a prompt, whatever batch or device it is on."""
  net, params = model()
  run = sampler(net, stop_ids=NEVER, temperature=0.8)
  together = run(params, toys.prompts(ROWS), keys())
  for p in range(P):
    part = run(params, toys.prompts(ROWS[p : p + 1]), keys()[p : p + 1])
    np.testing.assert_array_equal(part.tokens[0], together.tokens[p])
    np.testing.assert_allclose(part.logprobs[0], together.logprobs[p], atol=1e-5)


def test_padding_changes_no_token():
  """Pitfall 2: neither how much of it nor the stop tokens that stand in it."""
  narrow, wide = sample(), sample(width=11)
  np.testing.assert_array_equal(narrow.tokens, wide.tokens)
  np.testing.assert_array_equal(narrow.mask, wide.mask)
  np.testing.assert_allclose(narrow.logprobs, wide.logprobs, atol=1e-5)


def test_a_smaller_group_or_budget_is_a_part_of_the_larger():
  whole = sample(stop_ids=NEVER)
  part = sample(stop_ids=NEVER, group_size=2, max_tokens=3)
  np.testing.assert_array_equal(part.tokens, whole.tokens[:, :2, :3])
  assert not part.finished.any()


def test_an_answer_of_one_token():
  result = sample(stop_ids=NEVER, max_tokens=1)
  np.testing.assert_array_equal(result.tokens, sample(stop_ids=NEVER).tokens[..., :1])


# --- compaction


@pytest.mark.parametrize(("compactions", "family"), [(1, "llama"), (3, "llama"), (3, "mistral")])
def test_answers_do_not_notice_that_the_batch_shrinks(compactions, family):
  """Half, a quarter, an eighth of 64 rows: the same tokens, log-probs, masks and ends."""
  _, params = model(family)
  sizes = {"group_size": 16, "max_tokens": 16, "stop_ids": (STOP, 11, 2), "temperature": 0.8}
  prompts, chosen = toys.prompts([*ROWS, [7, 7]]), keys(3, 4)
  still, shrunk = (
    sampler(toys.network(compactions=n, **toys.FAMILIES[family]), **sizes)(params, prompts, chosen)
    for n in (0, compactions)
  )
  lengths = np.asarray(still.mask.sum(-1))
  running = [(lengths > t).sum() for t in range(16)]
  assert running[-1] <= 8, "short answers and long ones, or nothing is tested"
  assert lengths.max() == 16
  np.testing.assert_array_equal(shrunk.mask, still.mask)
  np.testing.assert_array_equal(shrunk.finished, still.finished)
  np.testing.assert_array_equal(*(np.where(r.mask, r.tokens, 0) for r in (shrunk, still)))
  np.testing.assert_allclose(shrunk.logprobs, still.logprobs, atol=1e-5)


def test_batch_sizes_halve_down_to_8_within_the_memory_of_the_whole():
  assert batch_sizes(8, 8, 10, 10, 8) == [32, 16, 8]
  assert batch_sizes(8, 8, 10, 10, 1) == [32]
  assert batch_sizes(8, 8, 10, 10, 0) == []
  assert batch_sizes(1, 15, 1, 9, 8) == []
  # 32 copies of prompts of 1,000 would be four times the 8 prompts: 8 copies are as many.
  assert batch_sizes(8, 8, 1000, 10, 8) == [8]


# --- form


def test_what_comes_out():
  result = sample()
  assert (result.tokens.shape, result.tokens.dtype) == ((P, G, T), jnp.int32)
  assert (result.mask.shape, result.mask.dtype) == ((P, G, T), bool)
  assert (result.logprobs.shape, result.logprobs.dtype) == ((P, G, T), jnp.float32)
  assert (result.finished.shape, result.finished.dtype) == ((P, G), bool)
  assert ((result.tokens >= 0) & (result.tokens < toys.V)).all()
  assert np.isfinite(result.logprobs).all()
  assert (np.asarray(result.logprobs) <= 0).all()


@pytest.mark.parametrize(
  "bad",
  [
    {"group_size": 0},
    {"max_tokens": 0},
    {"stop_ids": ()},
    {"temperature": -1.0},
    {"top_k": -1},
    {"top_p": 0.0},
    {"min_p": 1.0},
  ],
)
def test_bad_arguments_are_refused_when_built(bad):
  good = {"group_size": G, "max_tokens": T, "stop_ids": (STOP,)}
  with pytest.raises(ValueError, match=next(iter(bad))):
    make_rollout(toys.network(), **{**good, **bad})


def test_keys_that_are_not_one_a_prompt_are_refused():
  """Pitfall 26."""
  net, params = model()
  run = make_rollout(net, group_size=G, max_tokens=T, stop_ids=(STOP,))
  with pytest.raises((ValueError, AssertionError, TypeError)):
    run(params, toys.prompts(ROWS), keys(0, 1))
