"""Planned, compiled and measured memory of the same runs, side by side.

python -m benchmarks.plan_check [--cases=smollm2,wide]

Each case is trained for a few steps by a command of its own in runs/plan_check/CASE, whose peak
resident memory is compared with what `experiments.plan` and its `--compile` say; runs that are
complete are not run again. Prints a table.
"""

import json
import os
import sys

from benchmarks import runs
from grpo_jax import config
from grpo_jax.run.planning import report

_ROOT = os.path.join("runs", "plan_check")
_STEPS = 3
# layers, width, feed-forward, prompts, group, answer tokens, micro-batches, remat
_SIZES = {
  "wide": (8, 512, 1408, 4, 8, 256, 1, False),
  "deep": (12, 768, 2048, 4, 8, 128, 2, True),
  "long": (8, 512, 1408, 2, 4, 1024, 1, True),
}
CASES = ("smollm2", "smollm2_ppo", *_SIZES)


def get_config(name: str = "wide") -> config.Experiment:
  """One case."""
  if name.startswith("smollm2"):
    from experiments.configs import grpo_vs_ppo, smollm2_addition

    if name == "smollm2_ppo":
      return grpo_vs_ppo.get_config("smollm2-ppo_separate")
    experiment = smollm2_addition.get_config()
    stage = experiment.stages["grpo"]
    stage.steps, stage.optimizer.warmup_steps = _STEPS, 0
    experiment.checkpoint.every = 1000
    return experiment
  layers, width, ffn, prompts, group, tokens, micro, remat = _SIZES[name]
  return config.Experiment(
    model=config.Model(
      tokenizer="characters",
      architecture=config.Architecture(
        hidden_size=width,
        layers=layers,
        heads=width // 64,
        kv_heads=width // 64,
        head_size=64,
        ffn_size=ffn,
      ),
      remat=remat,
    ),
    task=config.Addition(low=0, high=99),
    evaluation=config.Evaluation(problems=8, max_tokens=8, batch_size=8),
    checkpoint=config.Checkpoint(every=1000),
    stages={
      "grpo": config.GRPO(
        steps=_STEPS,
        rollout=config.Rollout(prompts=prompts, group_size=group, max_tokens=tokens),
        optimizer=config.Optimizer(micro_batches=micro),
        rewards={"random": 1.0},  # a prompt without signal would not be run
      )
    },
  )


def measured(name: str) -> float:
  """GB, the most that the run had before it wrote its checkpoint."""
  folder = os.path.join(_ROOT, name)
  runs.train(os.path.join("benchmarks", "plan_check.py"), name, folder, one_core=False)
  return max(line["memory/peak_gb"] for line in runs.lines(folder) if "memory/peak_gb" in line)


def planned(name: str) -> tuple[float, float]:
  """GB, by formula and with the compiler's figures."""
  [line] = report(get_config(name), as_json=True, compiled=True)
  found = json.loads(line)
  [stage] = found["stages"].values()
  return stage["memory"]["peak"] / 1e9, stage["peak_compiled"] / 1e9


def main(names: list[str]) -> None:
  """Runs the cases and prints the table."""
  print("| case | planned | compiled | measured | planned / measured | compiled / measured |")
  print("| --- | --- | --- | --- | --- | --- |", flush=True)
  for name in names:
    by_formula, by_compiler = planned(name)
    real = measured(name)
    print(
      f"| {name} | {by_formula:.2f} GB | {by_compiler:.2f} GB | {real:.2f} GB |"
      f" {by_formula / real:.2f} | {by_compiler / real:.2f} |",
      flush=True,
    )


if __name__ == "__main__":
  chosen = [argument.removeprefix("--cases=") for argument in sys.argv[1:]]
  main(chosen[0].split(",") if chosen else list(CASES))
