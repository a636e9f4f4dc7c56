"""The sampler and the trainer give a token the same log-prob, on the real model."""

import jax
import numpy as np

from grpo_jax import model
from grpo_jax.logprobs import answer_logprobs
from grpo_jax.rollout import make_rollout
from tests import toys

TEMPERATURE = 0.7
QUESTIONS = ["What is 17 + 25?", "Write a haiku about the sea, the wind and a very old ship."]


def test_sampled_logprobs_are_the_trainers(smollm2):
  """Decoding with a cache, and the prompt-sharing forward pass of a whole group: 1e-4."""
  rows = [smollm2.tokenizer.encode_chat([{"role": "user", "content": q}]) for q in QUESTIONS]
  assert len(rows[0]) != len(rows[1])
  net = model.Network(smollm2.architecture, remat=False)
  # No stop token: every answer has all its tokens.
  rollout = make_rollout(net, group_size=3, max_tokens=12, stop_ids=(-1,), temperature=TEMPERATURE)
  keys = jax.random.split(jax.random.key(3), len(rows))
  params = jax.tree.map(jax.numpy.asarray, smollm2.params)
  sampled = jax.jit(rollout)(params, toys.prompts(rows, filler=11), keys)
  trained = jax.jit(lambda p, r: answer_logprobs(net, p, r, temperature=TEMPERATURE)[0])
  assert sampled.mask.all()
  assert (np.asarray(sampled.logprobs) < 0).any()
  difference = np.abs(np.asarray(sampled.logprobs) - np.asarray(trained(params, sampled)))
  assert difference.max() < 1e-4
