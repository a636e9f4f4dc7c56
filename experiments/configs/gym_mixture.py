r"""Two tasks mixed: reasoning-gym's chain_sum, harder as it is solved, and comparing two numbers.

python -m experiments.train --config=experiments/configs/gym_mixture.py --workdir=runs/gym

Needs the extra `gym`. RESULT
"""

from grpo_jax import config


def get_config() -> config.Experiment:
  """A decoder of characters, from scratch: supervised warm start on the first level, then GRPO."""
  sums = config.Curriculum(
    task=config.Gym(name="chain_sum", fields={"min_terms": 2, "max_terms": 2}),
    levels={"min_digits": (1, 1, 2), "max_digits": (1, 2, 2)},
    window=48,
    up=0.6,
  )
  small = config.Addition(low=0, high=30, question="{a}+{b}=")
  return config.Experiment(
    model=config.Model(
      tokenizer="characters",
      architecture=config.Architecture(
        hidden_size=64, layers=2, heads=2, kv_heads=2, head_size=32, ffn_size=192, context_length=80
      ),
      remat=False,
      unroll=0,
    ),
    task=config.Mixture(tasks={"sums": sums, "small": small}, weights={"sums": 3.0, "small": 1.0}),
    evaluation=config.Evaluation(problems=90, every=60, reward="task", max_tokens=5, batch_size=90),
    checkpoint=config.Checkpoint(every=60),
    stages={
      "sft": config.SFT(
        steps=300,
        batch_size=64,
        max_tokens=5,
        optimizer=config.Optimizer(lr=2e-3, min_lr=5e-4, warmup_steps=20),
      ),
      "grpo": config.GRPO(
        steps=120,
        rollout=config.Rollout(prompts=16, group_size=8, max_tokens=5),
        optimizer=config.Optimizer(lr=3e-4, min_lr=3e-5, warmup_steps=10),
        rewards={"task": 1.0},
      ),
    },
  )
