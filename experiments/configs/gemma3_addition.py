r"""Gemma 3 270M, a base model, goes on with sums: another family than the main job's.

make gemma
python -m experiments.train --config=experiments/configs/gemma3_addition.py --workdir=runs/gemma3

Two CPU cores, which other work kept busy on 2026-11-25: 10 minutes, 23 to 104 s a step. Greedy
accuracy on 40 held-out sums 0.05 before and 0.125 after, of one seed: eight steps show that it
runs, not that it learns. The weights are Google's, under https://ai.google.dev/gemma/terms
"""

from grpo_jax import config


def get_config() -> config.Experiment:
  """Full-parameter GRPO in float32; a base model is shown how, for it has no chat template."""
  return config.Experiment(
    model=config.Model(
      weights=".cache/models/gemma-3-270m-q4_k_m.gguf", remat=False, logprob_chunk=32
    ),
    task=config.Addition(low=1, high=20, question="{a} + {b} =", system="2 + 9 = 11\n6 + 1 = 7\n"),
    evaluation=config.Evaluation(problems=40, every=0, max_tokens=6, batch_size=40),
    checkpoint=config.Checkpoint(every=100, keep=1),
    stages={
      "grpo": config.GRPO(
        steps=8,
        rollout=config.Rollout(prompts=4, group_size=8, max_tokens=6),
        optimizer=config.Optimizer(lr=1e-5, min_lr=1e-6, warmup_steps=2),
        rewards={"number": 1.0},
      ),
    },
  )
