"""GRPO against PPO: memory, seconds, learning and variance, as tables.

make claims, or: python -m benchmarks.claims [--seeds=2] [--batches=32] [--parts=memory,variance]

Runs are commands of their own in runs/claims/NAME-SEED; runs that are complete are not run again.
"""

import os
import statistics

from absl import app, flags

from benchmarks import runs
from benchmarks.compiled import update_memory
from benchmarks.variance import relative_variance
from benchmarks.variants_report import with_each
from experiments.configs import grpo_vs_ppo

_PARTS = ["learning", "smollm2", "memory", "compiled", "variance"]
_SEEDS = flags.DEFINE_integer("seeds", 2, "Runs of each algorithm and size.", lower_bound=1)
_BATCHES = flags.DEFINE_integer("batches", 32, "Batches of each gradient estimate.", lower_bound=2)
_CHOSEN = flags.DEFINE_list("parts", list(_PARTS), "Which tables.")
_GROUPS = flags.DEFINE_list("groups", list(map(str, grpo_vs_ppo.GROUPS)), "Answers a prompt.")
_FEW = flags.DEFINE_bool("few", False, "Learning from 256 answers a step instead of 1,024.")
_CONFIG = os.path.join("experiments", "configs", "grpo_vs_ppo.py")
_ROOT = os.path.dirname(grpo_vs_ppo.WARM_START)
# Held-out accuracy of the tiny task, and of the main job.
_GOAL, _GOAL_SMOLLM2 = 0.8, grpo_vs_ppo.GOAL_SMOLLM2
# Answer tokens of an update, and whether layers are recomputed in its backward pass.
_LENGTHS = ((12, False), (256, False), (256, True))


def main(_: list[str]) -> None:
  """Runs what is missing, and prints the tables."""
  runs.warm_start(_CONFIG, grpo_vs_ppo.WARM_START)
  tables = dict(zip(_PARTS, (learning, smollm2, memory, compiled, variance), strict=True))
  for part in _CHOSEN.value:
    print(tables[part](), end="\n\n", flush=True)


def learning() -> str:
  """Accuracy, and steps and seconds to the goal, of the tiny task."""
  few = "-256" if _FEW.value else ""
  names = [f"{name}-{g}{few}" for g in _GROUPS.value for name in grpo_vs_ppo.ALGORITHMS]
  found = runs.run_all(_CONFIG, names, _SEEDS.value, _ROOT)
  return _learned(names, found, _GOAL)


def smollm2() -> str:
  """Steps and seconds of SmolLM2 to the goal on the main job's sums, one seed, where a run ends."""
  names = [f"smollm2_learning-{name}" for name in grpo_vs_ppo.ALGORITHMS]
  found = runs.run_all(_CONFIG, names, 1, _ROOT, jobs=1, one_core=False)
  return _learned(names, found, _GOAL_SMOLLM2)


def _learned(names: list[str], found: dict, goal: float) -> str:
  """Of PPO with a separate critic, steps in which the critic learns alone count too."""
  rows = [
    f"| algorithm-G | last accuracy | steps to {goal} | seconds to {goal} | seconds a step |",
    "| --- | --- | --- | --- | --- |",
  ]
  for name in names:
    own = [of for (other, _), of in found.items() if other == name]
    final = with_each([runs.curve(of)[-1][1] for of in own], 2)
    seconds = statistics.median(s for of in own for _, s in runs.curve(of, "time/step_s"))
    steps = [next((s for s, a in runs.curve(of) if a >= goal), None) for of in own]
    each = ", ".join("never" if step is None else str(step) for step in steps)
    took = ", ".join(
      "-" if step is None else f"{_spent(of, step):.0f}"
      for of, step in zip(own, steps, strict=True)
    )
    rows.append(f"| {name} | {final} | {each} | {took} | {seconds:.3f} |")
  return "\n".join(rows)


def _spent(of: runs.Lines, step: int) -> float:
  """Seconds of all steps up to this one, the compilation in the first left out."""
  return sum(seconds for at, seconds in runs.curve(of, "time/step_s") if 1 < at <= step)


def memory() -> str:
  """Measured peaks and seconds of SmolLM2, one run at a time; parameters' share by arithmetic."""
  names = [f"smollm2-{name}" for name in grpo_vs_ppo.ALGORITHMS]
  found = runs.run_all(_CONFIG, names, 1, _ROOT, jobs=1, one_core=False)
  rows = [
    "| SmolLM2-135M | peak memory | weights, gradient, moments | rollout | update |",
    "| --- | --- | --- | --- | --- |",
  ]
  for name in names:
    of = [line for line in found[name, 0] if "time/step_s" in line]
    peak = max(line["memory/peak_gb"] for line in of)
    copies = 2 if name.endswith("separate") else 1
    # float32: weights, their gradient and AdamW's two moments.
    static = copies * 4 * 4 * 134.5e6 / 1e9
    rollout, update = (
      statistics.median(line[f"time/{phase}_s"] for line in of[1:])
      for phase in ("rollout", "update")
    )
    rows.append(f"| {name} | {peak:.1f} GB | {static:.1f} GB | {rollout:.1f} s | {update:.1f} s |")
  return "\n".join(rows)


def compiled() -> str:
  """What the compiler asks for in one update of SmolLM2, short answers and long."""
  rows = [
    "| one update of 4 x 8 answers | "
    + " | ".join(f"{T} tokens" + (", layers recomputed" if remat else "") for T, remat in _LENGTHS)
    + " |",
    "| --- |" + " --- |" * len(_LENGTHS),
  ]
  for name in grpo_vs_ppo.ALGORITHMS:
    sizes = [update_memory(f"smollm2-{name}", T, remat=remat) for T, remat in _LENGTHS]
    rows.append(f"| {name} | " + " | ".join(f"{size:.2f} GB" for size in sizes) + " |")
  return "\n".join(rows)


def variance() -> str:
  """Noise over signal of one batch's gradient at the warm start, and a 90 % interval."""
  rows = [
    "| noise / signal | " + " | ".join(f"G = {g}" for g in _GROUPS.value) + " |",
    "| --- |" + " --- |" * len(_GROUPS.value),
  ]
  for name in grpo_vs_ppo.ALGORITHMS:
    found = [relative_variance(f"{name}-{g}", _BATCHES.value) for g in _GROUPS.value]
    cells = [f"{value:.2f} ({low:.2f} to {high:.2f})" for value, low, high in found]
    rows.append(f"| {name} | " + " | ".join(cells) + " |")
  return "\n".join(rows)


if __name__ == "__main__":
  app.run(main)
