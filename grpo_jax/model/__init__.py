"""The decoder, its attention over a shared prompt, and its decode step."""

from grpo_jax.model.decode import Served, empty_cache, serve, step
from grpo_jax.model.decoder import Decoder, logits
from grpo_jax.model.network import Network, Prefix, prompt_positions

__all__ = [
  "Decoder",
  "Network",
  "Prefix",
  "Served",
  "empty_cache",
  "logits",
  "prompt_positions",
  "serve",
  "step",
]
