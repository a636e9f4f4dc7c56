"""Randomness of a run: one key a prompt, from (seed, stage, step, prompt) alone."""

import jax
import numpy as np

from grpo_jax.run.keys import prompt_keys, seeded


def test_equal_arguments_give_equal_keys():
  np.testing.assert_array_equal(prompt_keys(3, 1, 7, 4), prompt_keys(3, 1, 7, 4))


def test_no_two_prompts_steps_stages_or_seeds_share_a_key():
  places = [(seed, stage, step) for seed in (0, 1) for stage in (0, 1) for step in range(4)]
  keys = np.concatenate([prompt_keys(*place, 4) for place in places])
  assert len({tuple(key) for key in keys}) == len(keys) == 64


def test_a_prompt_keeps_its_key_in_a_larger_batch():
  np.testing.assert_array_equal(prompt_keys(0, 0, 5, 8)[:3], prompt_keys(0, 0, 5, 3))


def test_a_rollout_is_given_the_typed_keys():
  def rollout(params, prompts, keys):
    return jax.vmap(jax.random.key_data)(keys)

  data = prompt_keys(0, 0, 0, 3)
  np.testing.assert_array_equal(seeded(rollout)(None, None, data), data)
