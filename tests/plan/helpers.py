"""A small experiment to plan, and its request."""

from grpo_jax import config
from grpo_jax.plan.hardware import parse_topology
from grpo_jax.plan.plan import Request

SMALL = config.Architecture(
  vocab_size=100, hidden_size=8, layers=2, heads=4, kv_heads=2, head_size=4, ffn_size=16
)


def experiment(stage: config.Stage | None = None, **model) -> config.Experiment:
  return config.Experiment(
    model=config.Model(weights="any", **model),
    task=config.Addition(),
    stages={"grpo": stage or config.GRPO(steps=10)},
  )


def request(topology: str = "cpu", a: config.Architecture = SMALL, S: int = 16) -> Request:
  return Request(a, S, parse_topology(topology))
