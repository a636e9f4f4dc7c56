r"""SmolLM2-135M-Instruct learns to add two-digit numbers.

make train, or after `make model`:
python -m experiments.train --config=experiments/configs/smollm2_addition.py --workdir=runs/addition

Two CPU cores, 9 minutes, 7 GB of memory. Greedy accuracy on 200 held-out sums, seeds 0, 1 and 2 of
2026-11-23: 0.12 before, 0.775, 0.68 and 0.74 after.
"""

from grpo_jax import config


def get_config() -> config.Experiment:
  """Full-parameter GRPO in float32, eight answers a prompt."""
  return config.Experiment(
    model=config.Model(
      weights=".cache/models/SmolLM2-135M-Instruct.Q4_1.gguf", remat=False, logprob_chunk=128
    ),
    task=config.Addition(
      low=10,
      high=99,
      question="{a} + {b} =",
      system="You are a calculator. Answer with a number.",
    ),
    evaluation=config.Evaluation(problems=200, every=0, max_tokens=12, batch_size=200),
    checkpoint=config.Checkpoint(every=20, keep=1),
    stages={
      "grpo": config.GRPO(
        steps=50,
        rollout=config.Rollout(prompts=8, group_size=8, max_tokens=12),
        optimizer=config.Optimizer(lr=2e-5, min_lr=2e-6, warmup_steps=3, micro_batches=2),
        rewards={"number": 1.0},
      ),
    },
  )
