"""Contradictions of a model and its shape."""

import pytest

from grpo_jax import config
from tests.config.helpers import architecture, refused


def test_no_weights_and_no_shape():
  refused(config.Model(), "weights", "architecture")


def test_weights_and_a_shape():
  refused(config.Model(weights="model.gguf", architecture=architecture()), "model.gguf")


def test_the_tokenizer_of_no_weights():
  refused(config.Model(architecture=architecture()), "tokenizer", "characters")


def test_weights_alone_pass():
  config.check(config.Model(weights="model.gguf"))


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 3), (2, 4), (9, 2)])
def test_heads_that_kv_heads_do_not_divide(heads, kv_heads):
  refused(architecture(heads=heads, kv_heads=kv_heads), f"heads={heads}", f"kv_heads={kv_heads}")


def test_an_odd_head_has_no_pairs_to_turn():
  refused(architecture(head_size=33), "head_size=33")


def test_rope_scaling_that_blends_backwards():
  """low_freq_factor at or above high_freq_factor divides by zero in the blend, or inverts it."""
  for low, high in [(4.0, 4.0), (8.0, 4.0)]:
    scaling = config.RopeScaling(low_freq_factor=low, high_freq_factor=high)
    refused(architecture(rope_scaling=scaling), "low_freq_factor", "high_freq_factor")


@pytest.mark.parametrize("fields", [{"global_every": 2}, {"window_rope_theta": 1e4}])
def test_what_is_of_windows_without_a_window(fields):
  (name,) = fields
  refused(architecture(**fields), name, "sliding_window")
  config.check(architecture(**fields, sliding_window=4))


def test_a_window_that_no_layer_has():
  refused(architecture(sliding_window=4, global_every=1), "global_every=1", "sliding_window")
