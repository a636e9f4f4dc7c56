r"""Two rewards, one budget of steps: staged, composite, scheduled, gated, or mixed?

make strategies  # the warm start, every strategy with three seeds, a table and a picture

python -m experiments.train --config=experiments/configs/reward_strategies.py:composite \
    --workdir=runs/composite

A is hard: the sum is right. B is easy, a matter of style: the answer is written with a zero before
it, as in 042, which the warm start has seen in some of its solutions. Both can be had at once.
"""

from collections.abc import Mapping
from typing import Any

from experiments.configs import tiny_arithmetic
from grpo_jax import config

WARM_START = "runs/strategies/warm_start"
_A, _B = "number", "experiments/configs/reward_strategies.py:padded"
_STEPS = 160
Rewards = dict[str, float | config.Term]
_BOTH: Rewards = {_A: 1.0, _B: 1.0}
# The rewards of each part of the budget, and what the stages have beside them.
_LATER = config.Term(weight=0.0, schedule="linear", end_weight=1.0, end=_STEPS)
STRATEGIES: dict[str, list[Rewards]] = {
  "a_then_b": [{_A: 1.0}, {_B: 1.0}],
  "b_then_a": [{_B: 1.0}, {_A: 1.0}],
  "composite": [_BOTH],
  "composite_b_weak": [{_A: 1.0, _B: 0.2}],
  "scheduled": [{_A: 1.0, _B: _LATER}],
  "gated": [{_A: 1.0, _B: config.Term(gate=_A)}],
  "gdpo": [_BOTH],
  "mixed": [{_A: 1.0}, _BOTH],
}


def padded(prompt: str, completion: str, fields: Mapping[str, Any]) -> float:
  """1 where the answer begins with one zero that is not all of it, else 0."""
  return float(completion.startswith("0") and completion[1:2].isdigit() and completion[1] != "0")


def get_config(name: str = "composite") -> config.Experiment:
  """`name` is one of STRATEGIES, or "warm_start"; all else is the same for all."""
  experiment = tiny_arithmetic.get_config()
  experiment.task = config.Addition(low=0, high=50, question="{a}+{b}=", padded=0.3)
  experiment.evaluation = config.Evaluation(
    problems=300, every=10, max_tokens=5, batch_size=300, scores=(_B,)
  )
  experiment.checkpoint = config.Checkpoint(every=1000)
  if name == "warm_start":
    optimizer = config.Optimizer(lr=2e-3, min_lr=5e-4, warmup_steps=20)
    experiment.stages = {
      "sft": config.SFT(steps=320, batch_size=256, max_tokens=5, optimizer=optimizer)
    }
    return experiment
  if name not in STRATEGIES:
    raise config.ConfigError(f"no strategy {name!r}: known are {', '.join(STRATEGIES)}, warm_start")
  experiment.model = config.Model(weights=f"{WARM_START}/model", remat=False, unroll=0)
  parts = STRATEGIES[name]
  experiment.stages = {
    f"part{number}": _stage(_STEPS // len(parts), rewards, name)
    for number, rewards in enumerate(parts, start=1)
  }
  return experiment


def _stage(steps: int, rewards: Rewards, name: str) -> config.GRPO:
  return config.GRPO(
    steps=steps,
    rollout=config.Rollout(prompts=64, group_size=8, max_tokens=5),
    optimizer=config.Optimizer(lr=2e-4, min_lr=2e-5, warmup_steps=5),
    shaping=config.Shaping(gdpo=name == "gdpo"),
    rewards=dict(rewards),
  )
