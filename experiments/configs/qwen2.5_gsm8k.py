r"""Qwen2.5-Instruct on GSM8K: a Hugging Face folder and two JSONL files of one's own.

python -m experiments.train --config=experiments/configs/qwen2.5_gsm8k.py --workdir=runs/gsm8k \
    --config.model.weights=/path/to/Qwen2.5-1.5B-Instruct \
    --config.task.train=/path/to/train.jsonl --config.task.held_out=/path/to/test.jsonl

Sized for one GPU of 80 GB in bfloat16. Not measured yet: no such GPU was at hand when this was
written. A line of the files is {"question": "...", "answer": "... #### 72"}, as GSM8K comes.
"""

from grpo_jax import config


def get_config() -> config.Experiment:
  """DAPO's token-level loss and asymmetric clip; two updates a rollout."""
  algorithm = config.preset("grpo_verl")
  algorithm.loss.clip_high = 0.28
  return config.Experiment(
    model=config.Model(weights="Qwen2.5-1.5B-Instruct", dtype="bfloat16", logprob_chunk=2048),
    task=config.Questions(
      train="train.jsonl",
      held_out="test.jsonl",
      system="Think step by step. End with the answer, a number, on a line of its own.",
    ),
    evaluation=config.Evaluation(problems=500, every=50, max_tokens=512, batch_size=250),
    checkpoint=config.Checkpoint(every=50),
    stages={
      "grpo": config.GRPO(
        steps=400,
        rollout=config.Rollout(prompts=32, group_size=8, max_tokens=512),
        optimizer=config.Optimizer(lr=2e-6, min_lr=2e-7, warmup_steps=20, micro_batches=8),
        grouping=algorithm.grouping,
        loss=algorithm.loss,
        minibatches=2,
        rewards={"number": 1.0},
      ),
    },
  )
