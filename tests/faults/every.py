"""A stage of every kind, of seconds each: what a run that is killed anywhere has to get through."""

from grpo_jax import config

_SIZES = {"prompts": 4, "group_size": 4, "max_tokens": 6}


def get_config(mode: str = "single") -> config.Experiment:
  """Texts, solutions, adapters, preferences, rewards in JAX and on the host, and a critic.

  Args:
    mode: "single"; "pmap" and "mesh" want four devices.
  """
  shape = {
    "hidden_size": 16,
    "layers": 1,
    "heads": 2,
    "kv_heads": 2,
    "head_size": 8,
    "ffn_size": 32,
  }
  spread = {"fsdp": 2, "tensor": 2} if mode == "mesh" else {}
  in_jax = {"stage:judge": 1.0}
  learned = config.GRPO(steps=8, rollout=config.Rollout(**_SIZES), rewards=in_jax, **_quick())
  if mode == "single":
    learned.steps_per_program = 2
  return config.Experiment(
    model=config.Model(
      tokenizer="characters", architecture=config.Architecture(context_length=64, **shape)
    ),
    task=config.Assistant(),
    evaluation=config.Evaluation(problems=8, max_tokens=6, every=4, reward="gold"),
    parallel=config.Parallel(mode=mode, **spread),
    checkpoint=config.Checkpoint(every=2),
    stages={
      "texts": config.Pretrain(steps=8, batch_size=8, length=64, held_out=8, **_quick()),
      "sft": config.SFT(steps=8, batch_size=8, max_tokens=24, **_quick()),
      "adapters": config.SFT(
        steps=8, batch_size=8, max_tokens=24, lora=config.LoRA(rank=2), **_quick()
      ),
      "judge": config.RewardModel(
        steps=8, batch_size=8, max_tokens=24, held_out_pairs=8, **_quick()
      ),
      "learned": learned,
      "host": _host(config.GRPO),
      "critic": _host(config.PPO),
    },
  )


def _host(kind: type[config.GRPO]) -> config.GRPO:
  """Rewards on the host, several updates a rollout, and a reference."""
  return kind(
    steps=8,
    rollout=config.Rollout(**_SIZES),
    rewards={"random": 1.0, "gold": 1.0},
    epochs=2,
    loss=config.LossConfig(kl_coefficient=0.05),
    **_quick(),
  )


def _quick() -> dict:
  return {"optimizer": config.Optimizer(lr=3e-3, min_lr=1e-3)}
