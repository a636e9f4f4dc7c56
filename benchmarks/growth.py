"""How a step of GRPO grows with devices, group, answers and model, by formula: tables, a picture.

python -m benchmarks.growth [--device=v5p] [--model=qwen2.5-7b] [--at=64]

Every point is the fastest mesh that fits, with as few micro-batches as fit; answers may be longer
than the context that the model was trained with. Writes
runs/growth/growth.png and prints the tables, each with where it stops scaling and why.
"""

import os

from absl import app, flags

from grpo_jax import config
from grpo_jax.plan.growth import Point, growth, table
from grpo_jax.plan.hardware import DEVICES
from grpo_jax.plan.presets import MODELS, model_architecture

_DEVICE = flags.DEFINE_enum("device", "v5p", list(DEVICES), "Which device.")
_MODEL = flags.DEFINE_string("model", "qwen2.5-7b", "What grows along all axes but the last.")
_AT = flags.DEFINE_integer("at", 64, "Devices along all axes but the first.", lower_bound=1)
_PROMPT = 512
_MODELS = (
  "smollm2-135m",
  "qwen2.5-0.5b",
  "qwen2.5-1.5b",
  "qwen2.5-7b",
  "qwen2.5-32b",
  "llama3-70b",
  "gpt3-175b",
  "llama3.1-405b",
)
_ROOT = os.path.join("runs", "growth")


def experiment() -> config.Experiment:
  """128 prompts x 16 answers of 1024 tokens, in bfloat16 with remat."""
  return config.Experiment(
    model=config.Model(weights="any", dtype="bfloat16", logprob_chunk=1024),
    task=config.Addition(),
    evaluation=config.Evaluation(problems=128, batch_size=128),
    stages={
      "grpo": config.GRPO(
        rollout=config.Rollout(prompts=128, group_size=16, max_tokens=1024),
        loss=config.LossConfig(kl_coefficient=0.01),
      )
    },
  )


def main(_: list[str]) -> None:
  """Prints the tables and draws the picture."""
  axes = growth(
    experiment(),
    model_architecture(_MODEL.value),
    _PROMPT,
    device=_DEVICE.value,
    devices=[2**n for n in range(13)],
    groups=[2**n for n in range(1, 9)],
    lengths=[2**n for n in range(7, 16)],
    models={name: MODELS[name] for name in _MODELS},
    at=_AT.value,
  )
  print(table(axes))
  os.makedirs(_ROOT, exist_ok=True)
  picture(axes, os.path.join(_ROOT, "growth.png"))


def picture(axes: dict[str, list[Point]], path: str) -> None:
  """Seconds a step above, memory of a device below; hollow where it does not fit."""
  import matplotlib

  matplotlib.use("Agg")
  from matplotlib import pyplot

  figure, panels = pyplot.subplots(2, len(axes), figsize=(12, 5), layout="constrained")
  for column, (axis, points) in enumerate(axes.items()):
    sizes = [point.size for point in points]
    fills = ["#1f5fa8" if point.plan.fits else "white" for point in points]
    for row, values in enumerate(
      ([point.plan.seconds for point in points], [point.plan.peak / 1e9 for point in points])
    ):
      panel = panels[row, column]
      panel.plot(sizes, values, color="#1f5fa8", linewidth=1)
      panel.scatter(sizes, values, c=fills, edgecolors="#1f5fa8", zorder=3, s=22)
      panel.set_xscale("log", base=2 if axis != "parameters" else 10)
      panel.set_yscale("log")
      panel.grid(color="#e4e7eb")
    panels[1, column].axhline(DEVICES[_DEVICE.value].usable / 1e9, color="#b03a2e", linewidth=0.8)
    panels[1, column].set_xlabel(axis)
  panels[0, 0].set_ylabel("seconds a step")
  panels[1, 0].set_ylabel("GB a device")
  figure.savefig(path, dpi=110)


if __name__ == "__main__":
  app.run(main)
