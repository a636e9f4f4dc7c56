"""A run as a terminal shows it while it goes on: a part of the screen that is drawn anew."""

from grpo_jax.run.live.live import Live, make_view

__all__ = ["Live", "make_view"]
