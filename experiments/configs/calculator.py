r"""A calculator to call, by a small decoder from scratch: SFT, then GRPO on episodes.

python -m experiments.train --config=experiments/configs/calculator.py --workdir=runs/calculator

Two CPU cores, about two minutes. Held-out products right on 2026-11-25, after SFT and after GRPO:
seed 0 0.79 and 0.87, seed 1 0.22 and 0.86: SFT shows the calculator, GRPO makes the model rely on
it.
"""

from typing import Any

from grpo_jax import config

_TURNS: dict[str, Any] = {"max_tokens": 8, "turns": 2, "observation_tokens": 5}


def get_config() -> config.Experiment:
  """A decoder of characters that learns to ask for what it cannot work out."""
  return config.Experiment(
    model=config.Model(
      tokenizer="characters",
      architecture=config.Architecture(
        hidden_size=64, layers=2, heads=2, kv_heads=2, head_size=32, ffn_size=192, context_length=40
      ),
      remat=False,
      unroll=0,
    ),
    task=config.Calculator(low=10, high=99, question="{a}*{b}?", called=0.3),
    evaluation=config.Evaluation(
      problems=100, every=25, reward="episode", batch_size=100, **_TURNS
    ),
    checkpoint=config.Checkpoint(every=50),
    stages={
      "sft": config.SFT(
        steps=400,
        batch_size=128,
        max_tokens=20,
        optimizer=config.Optimizer(lr=2e-3, min_lr=5e-4, warmup_steps=20),
      ),
      "grpo": config.GRPO(
        steps=100,
        rollout=config.Rollout(prompts=16, group_size=8, **_TURNS),
        optimizer=config.Optimizer(lr=5e-4, min_lr=5e-5, warmup_steps=10),
        rewards={"episode": 1.0},
      ),
    },
  )
