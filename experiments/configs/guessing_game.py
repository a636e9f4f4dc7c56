r"""A guessing game of several turns, by a small decoder from scratch: SFT, then GRPO on episodes.

python -m experiments.train --config=experiments/configs/guessing_game.py --workdir=runs/guess

Two CPU cores, about two minutes. Of the ten numbers found within four guesses on 2026-11-25, after
SFT and after GRPO: 0.4 and 0.9 with seeds 0 and 1.
"""

from typing import Any

from grpo_jax import config

_TURNS: dict[str, Any] = {"max_tokens": 2, "turns": 4, "observation_tokens": 6}


def get_config() -> config.Experiment:
  """A decoder of characters that learns to halve what is still possible."""
  return config.Experiment(
    model=config.Model(
      tokenizer="characters",
      architecture=config.Architecture(
        hidden_size=64, layers=2, heads=2, kv_heads=2, head_size=32, ffn_size=192, context_length=40
      ),
      remat=False,
      unroll=0,
    ),
    task=config.Guess(low=0, high=9, question="{low}-{high}?", clumsy=0.5, shown=4),
    evaluation=config.Evaluation(problems=10, every=25, reward="episode", batch_size=10, **_TURNS),
    checkpoint=config.Checkpoint(every=50),
    stages={
      "sft": config.SFT(
        steps=150,
        batch_size=64,
        max_tokens=26,
        optimizer=config.Optimizer(lr=2e-3, min_lr=5e-4, warmup_steps=20),
      ),
      "grpo": config.GRPO(
        steps=150,
        rollout=config.Rollout(prompts=32, group_size=8, **_TURNS),
        optimizer=config.Optimizer(lr=1e-3, min_lr=1e-4, warmup_steps=10),
        rewards={"episode": 1.0},
      ),
    },
  )
