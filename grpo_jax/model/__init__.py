"""The decoder, its attention over a shared prompt, and its decode step."""

from grpo_jax.model.decode import Cache, Served, compact, empty_cache, serve, step
from grpo_jax.model.decoder import Decoder, logits, served_logits
from grpo_jax.model.fused import has_kernels
from grpo_jax.model.kinds import layer_kinds
from grpo_jax.model.lora import adapted, frozen_base, init_adapters, merged
from grpo_jax.model.network import Network, Prefix, prompt_positions
from grpo_jax.model.placement import ANYWHERE, Placement

__all__ = [
  "ANYWHERE",
  "Cache",
  "Decoder",
  "Network",
  "Placement",
  "Prefix",
  "Served",
  "adapted",
  "compact",
  "empty_cache",
  "frozen_base",
  "has_kernels",
  "init_adapters",
  "layer_kinds",
  "logits",
  "merged",
  "prompt_positions",
  "serve",
  "served_logits",
  "step",
]
