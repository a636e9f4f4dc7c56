"""Layers and width at fixed data: ability and cost side by side, a table and a picture.

make scaling, or: python -m benchmarks.scaling [--seeds=3] [--jobs=2] [--sizes=2x64,4x64]

Each run is a command of its own in runs/scaling/SIZE-SEED, on one core; runs that are complete are
not run again. Writes runs/scaling/scaling.png and prints the table.
"""

import os
import statistics

import jax
from absl import app, flags

from benchmarks import runs
from benchmarks.variants_report import with_each
from experiments.configs import scaling
from grpo_jax.model import Network
from grpo_jax.weights.tokenizer import CharacterTokenizer

_SEEDS = flags.DEFINE_integer("seeds", 3, "Runs of each size.", lower_bound=1)
_JOBS = flags.DEFINE_integer("jobs", os.cpu_count(), "Runs at one time.", lower_bound=1)
_SIZES = flags.DEFINE_list("sizes", list(scaling.SIZES), "Which sizes.")
_CONFIG = os.path.join("experiments", "configs", "scaling.py")
_ROOT = os.path.join("runs", "scaling")


def main(_: list[str]) -> None:
  """Runs what is missing, then reports."""
  found = runs.run_all(_CONFIG, _SIZES.value, _SEEDS.value, _ROOT, jobs=_JOBS.value)
  rows = [
    _row(size, [of for (name, _), of in found.items() if name == size]) for size in _SIZES.value
  ]
  print(table(rows))
  picture(rows, os.path.join(_ROOT, "scaling.png"))


def parameters(size: str) -> int:
  """Of the decoder, embedding included."""
  model = scaling.get_config(size).model
  model.architecture.vocab_size = CharacterTokenizer().vocab_size
  shapes = Network.from_config(model.architecture, model).abstract()
  return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def _row(size: str, own: list[runs.Lines]) -> dict:
  """Ability and cost of a size; seconds are of the steps, rollouts included, FLOPs of updates."""
  last = {stage: [_last(of, stage) for of in own] for stage in ("sft", "grpo")}
  # The first step of a stage compiles.
  seconds = [sum(s for step, s in runs.curve(of, "time/step_s") if step > 1) for of in own]
  tokens = statistics.mean(_trained_tokens(size, of) for of in own)
  return {
    "size": size,
    "parameters": parameters(size),
    # Kaplan et al. 2020: 6 FLOPs a parameter and trained token, forward and backward.
    "flops": 6 * parameters(size) * tokens,
    "seconds": statistics.median(seconds),
    **last,
  }


def _trained_tokens(size: str, of: runs.Lines) -> float:
  """Tokens of questions and answers that updates went through, prompts counted once a group."""
  stages = scaling.get_config(size).stages
  sft, grpo = stages["sft"], stages["grpo"]
  question = len("50+50=")
  mean = statistics.mean(line["length/mean"] for line in of if "length/mean" in line)
  sampled = grpo.rollout.prompts * (question + grpo.rollout.group_size * mean)
  return sft.steps * sft.batch_size * (question + sft.max_tokens) + grpo.steps * sampled


def _last(of: runs.Lines, stage: str) -> float:
  return runs.curve([line for line in of if line["stage"] == stage])[-1][1]


def table(rows: list[dict]) -> str:
  """Markdown."""
  lines = [
    "| layers x width | parameters | FLOPs of updates | seconds | after SFT | after GRPO |",
    "| --- | --- | --- | --- | --- | --- |",
  ]
  for row in rows:
    lines.append(
      f"| {row['size']} | {row['parameters']:,} | {row['flops']:.1e} | {row['seconds']:.0f} |"
      f" {with_each(row['sft'], 2)} | {with_each(row['grpo'], 2)} |"
    )
  return "\n".join(lines)


def picture(rows: list[dict], path: str) -> None:
  """Held-out accuracy by parameters, by FLOPs and by seconds; a line a number of layers."""
  import matplotlib

  matplotlib.use("Agg")
  from matplotlib import pyplot, ticker

  figure, axes = pyplot.subplots(1, 3, figsize=(11, 3.4), sharey=True, layout="constrained")
  costs = ("parameters", "flops", "seconds")
  for panel, cost in zip(axes, costs, strict=True):
    for layers in dict.fromkeys(row["size"].split("x")[0] for row in rows):
      own = [row for row in rows if row["size"].split("x")[0] == layers]
      accuracy = [statistics.mean(row["grpo"]) for row in own]
      panel.plot(
        [row[cost] for row in own],
        accuracy,
        marker="o",
        label=f"{layers} layer{'s' * (layers != '1')}",
      )
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 3)))
    panel.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
    panel.xaxis.set_minor_formatter(ticker.NullFormatter())
    panel.set_xlabel(cost)
    panel.grid(color="#e4e7eb")
  axes[0].set_ylabel("held-out accuracy after GRPO")
  axes[0].legend(frameon=False)
  figure.savefig(path, dpi=110)


if __name__ == "__main__":
  app.run(main)
