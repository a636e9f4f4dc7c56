r"""Sums of two numbers by a small decoder from scratch: supervised warm start, then GRPO.

python -m experiments.train --config=experiments/configs/tiny_arithmetic.py --workdir=runs/tiny
"""

from grpo_jax import config


def get_config() -> config.Experiment:
  """A decoder of characters that learns addition."""
  return config.Experiment(
    model=config.Model(
      tokenizer="characters",
      architecture=config.Architecture(
        hidden_size=96, layers=3, heads=3, kv_heads=3, head_size=32, ffn_size=256, context_length=32
      ),
      remat=False,
      unroll=0,
    ),
    task=config.Addition(low=0, high=30, question="{a}+{b}="),
    evaluation=config.Evaluation(problems=100, every=50, max_tokens=4, batch_size=100),
    checkpoint=config.Checkpoint(every=50),
    stages={
      "sft": config.SFT(
        steps=200,
        batch_size=128,
        max_tokens=4,
        optimizer=config.Optimizer(lr=3e-3, min_lr=3e-4, warmup_steps=20),
      ),
      "grpo": config.GRPO(
        steps=150,
        rollout=config.Rollout(prompts=32, group_size=8, max_tokens=4),
        optimizer=config.Optimizer(lr=5e-4, min_lr=5e-5, warmup_steps=5),
        rewards={"number": 1.0},
      ),
    },
  )
