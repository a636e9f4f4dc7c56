"""A run of two short stages that takes seconds."""

from grpo_jax import config


def experiment(task=None, stages=None, keep=2, evaluation=None, **fields) -> config.Experiment:
  """Four steps of SFT and four of GRPO on sums of one digit, evaluated and saved every second."""
  shape = {
    "hidden_size": 16,
    "layers": 1,
    "heads": 2,
    "kv_heads": 1,
    "head_size": 8,
    "ffn_size": 16,
  }
  fast = config.Optimizer(lr=1e-2, min_lr=1e-2)
  sizes = config.Rollout(prompts=4, group_size=4, max_tokens=4)
  held_out = {"problems": 12, "every": 2, "max_tokens": 4, "batch_size": 12} | (evaluation or {})
  own = stages or {
    "sft": config.SFT(steps=4, batch_size=8, max_tokens=4, optimizer=fast),
    "grpo": config.GRPO(steps=4, rollout=sizes, optimizer=fast, rewards={"random": 1.0}),
  }
  return config.Experiment(
    model=config.Model(
      tokenizer="characters", architecture=config.Architecture(context_length=48, **shape)
    ),
    task=task or config.Addition(low=0, high=9, question="{a}+{b}="),
    evaluation=config.Evaluation(**held_out),
    checkpoint=config.Checkpoint(every=2, keep=keep),
    stages=own,
    **fields,
  )
