"""TRL's GRPO step, timed, in its own environment: python trl_step.py w1 MODEL DTYPE.

The same workload as our_step.py: the real trainer, its own generation and update, on the same
weights. A step's rollout is TRL's generate-and-score, its update the rest.
"""

import json
import resource
import sys
import tempfile
import time

import datasets
import torch
import transformers
import trl
from workloads import WORKLOADS


def main(workload: str, model: str, dtype: str) -> None:
  work, count = WORKLOADS[workload], WORKLOADS[workload].steps
  tokenizer = transformers.AutoTokenizer.from_pretrained(model)
  policy = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype))
  generator = torch.Generator().manual_seed(0)
  prompts = []
  for _ in range(work.prompts * (count + 1)):
    ids = torch.randint(100, 10_000, (4 * work.prompt_tokens,), generator=generator)
    prompts.append(_text_of(tokenizer, ids.tolist(), work.prompt_tokens))
  with tempfile.TemporaryDirectory() as folder:
    trainer = _Timed(
      model=policy,
      reward_funcs=lambda completions, **_: [float(len(text) % 7) for text in completions],
      args=_arguments(work, count + 1, folder, dtype),
      train_dataset=datasets.Dataset.from_dict({"prompt": prompts}),
      processing_class=tokenizer,
    )
    trainer.train()
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
  if torch.cuda.is_available():
    peak = torch.cuda.max_memory_allocated() / 1e9
  whole = trainer.steps
  rollouts = trainer.rollouts
  print(
    json.dumps(
      {
        "first": [rollouts[0], whole[0] - rollouts[0]],
        "rollout": rollouts[1:],
        "update": [s - r for s, r in zip(whole[1:], rollouts[1:], strict=True)],
        "peak_gb": peak,
        "lengths": trainer.lengths,
      }
    )
  )


def _text_of(tokenizer, ids: list[int], count: int) -> str:
  """A text of `count` tokens."""
  while True:
    text = tokenizer.decode(ids[:count])
    again = tokenizer(text)["input_ids"]
    if len(again) == count or len(ids) <= count:
      return text
    ids = again[:count] if len(again) > count else ids[1:]


def _arguments(work, steps: int, folder: str, dtype: str) -> trl.GRPOConfig:
  B = work.prompts * work.group_size
  return trl.GRPOConfig(
    output_dir=folder,
    max_steps=steps,
    per_device_train_batch_size=B // work.peer_parts,
    gradient_accumulation_steps=work.peer_parts,
    generation_batch_size=B,
    num_generations=work.group_size,
    max_completion_length=work.answer_tokens,
    generation_kwargs={"min_new_tokens": work.answer_tokens},
    loss_type="grpo",
    beta=0.0,
    learning_rate=1e-6,
    use_cpu=not torch.cuda.is_available(),
    bf16=dtype == "bfloat16",
    gradient_checkpointing=work.remat,
    report_to=[],
    save_strategy="no",
    logging_steps=1000,
    disable_tqdm=True,
  )


def _now() -> float:
  """The time at which all that was asked of the accelerator is done."""
  if torch.cuda.is_available():
    torch.cuda.synchronize()
  return time.monotonic()


class _Timed(trl.GRPOTrainer):
  """The trainer with a clock about its step and about its generation."""

  def __init__(self, *args, **kwargs):
    self.steps, self.rollouts, self.lengths = [], [], []
    super().__init__(*args, **kwargs)
    self.add_callback(_Clock(self.steps))

  def _generate_and_score_completions(self, inputs):
    started = _now()
    result = super()._generate_and_score_completions(inputs)
    self.rollouts.append(_now() - started)
    self.lengths.append(result["completion_mask"].sum(-1).float().mean().item())
    return result


class _Clock(transformers.TrainerCallback):
  def __init__(self, steps: list):
    self._steps, self._started = steps, 0.0

  def on_step_begin(self, *_, **__):
    self._started = _now()

  def on_step_end(self, *_, **__):
    self._steps.append(_now() - self._started)


if __name__ == "__main__":
  main(*sys.argv[1:])
