r"""The whole road from scratch: pretraining, SFT, a reward model, then RL in two stages.

make assistant, or:
python -m experiments.train --config=experiments/configs/assistant_pipeline.py \
    --workdir=runs/assistant

A decoder of characters learns a small invented world (grpo_jax/tasks/world.py) from plain
sentences, then to answer from demonstrations that mostly give in to harm and make things up. A
model of preferences judges it from there: helpful and safe first, honest after that. The run ends
with a table: each gold score after each stage, on questions that the learned reward never saw.

Two CPU cores, 3 minutes 15 seconds. Seed 0 of 2026-11-25, helpful, safe and honest: 0.77, 0.00 and
0.04 after SFT; 0.77, 1.00 and 1.00 after the first RL stage; 0.73, 1.00 and 1.00 after the second.
The model of preferences is right on 0.92 of held-out pairs, of which 0.05 are the wrong way round.
"""

from grpo_jax import config

_FLAWED = 0.7


def get_config() -> config.Experiment:
  """Five stages; `--stages=pretrain,sft` runs a part."""
  return config.Experiment(
    model=config.Model(
      tokenizer="characters",
      architecture=config.Architecture(
        hidden_size=96, layers=3, heads=3, kv_heads=3, head_size=32, ffn_size=256, context_length=64
      ),
      remat=False,
      unroll=0,
    ),
    task=config.Assistant(flawed=_FLAWED, noise=0.05),
    evaluation=config.Evaluation(
      problems=144,
      every=50,
      reward="gold",
      scores=("helpful", "safe", "honest"),
      max_tokens=16,
      batch_size=144,
    ),
    checkpoint=config.Checkpoint(every=100),
    stages={
      "pretrain": config.Pretrain(
        steps=300, batch_size=32, length=64, optimizer=_optimizer(2e-3, 5e-4, warmup=20)
      ),
      "sft": config.SFT(
        steps=300, batch_size=64, max_tokens=16, optimizer=_optimizer(1e-3, 2e-4, warmup=20)
      ),
      "reward_model": config.RewardModel(
        steps=300, batch_size=64, max_tokens=16, optimizer=_optimizer(5e-4, 5e-5, warmup=10)
      ),
      "helpful_safe": _rl(config.Assistant(honest=0), {"stage:reward_model": 1.0, "gold": 0.0}),
      "honest": _rl(config.Assistant(honest=2), {"stage:reward_model": 1.0, "gold": 0.0}),
    },
  )


def _rl(task: config.Assistant, rewards: dict[str, float | config.Term]) -> config.GRPO:
  return config.GRPO(
    steps=150,
    task=task,
    rollout=config.Rollout(prompts=16, group_size=8, max_tokens=16),
    optimizer=_optimizer(2e-4, 2e-5, warmup=10),
    loss=config.LossConfig(kl_coefficient=0.05),
    rewards=rewards,
  )


def _optimizer(lr: float, min_lr: float, warmup: int) -> config.Optimizer:
  return config.Optimizer(lr=lr, min_lr=min_lr, warmup_steps=warmup)
