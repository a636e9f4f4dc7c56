"""grpo_jax: group-relative policy optimisation of language models, as pure functions in JAX."""

__version__ = "0.1.0"
