"""Five tasks of reasoning-gym, each before and after a small budget of steps: a table.

make gym, or: python -m benchmarks.gym [--tasks=products,syllogism] [--together=5]

Each run is a command of its own in ROOT/TASK; --extra=--config.seed=1 is a flag of each run.
What is complete only has its figures read again. --together above 1 is for an accelerator
that small runs share: each has its part of the memory.
"""

import collections
import concurrent.futures
import json
import os
import statistics
from typing import Any

from absl import app, flags

from benchmarks import runs
from experiments.configs import gym
from grpo_jax import config, tasks

_TASKS = flags.DEFINE_list("tasks", list(gym.TASKS), "Which tasks.")
_TOGETHER = flags.DEFINE_integer("together", 1, "Runs at one time, on one device.", lower_bound=1)
_EXTRA = flags.DEFINE_multi_string("extra", [], "A flag of each run; may be given several times.")
_ROOT = flags.DEFINE_string("root", os.path.join("runs", "gym"), "The folder of the runs.")
_CONFIG = os.path.join("experiments", "configs", "gym.py")
_MEMORY = "XLA_PYTHON_CLIENT_MEM_FRACTION"
_SHARED = 0.9
_COLUMNS = (
  "task",
  "kind",
  "example",
  "before",
  "after warm start",
  "after GRPO",
  "most frequent answer",
  "groups without signal",
  "steps",
  "seconds",
  "last reward",
)


def main(_: list[str]) -> None:
  """Runs what is missing, then reports."""
  for name in _TASKS.value:
    gym.get_config(name)  # an unknown name ends this before the first run
  if _TOGETHER.value > 1:
    os.environ.setdefault(_MEMORY, f"{_SHARED / _TOGETHER.value:.3f}")
  with concurrent.futures.ThreadPoolExecutor(_TOGETHER.value) as pool:
    print(table(dict(zip(_TASKS.value, pool.map(_run, _TASKS.value), strict=True))))


def _run(name: str) -> str:
  """The folder of a task's run, which is complete."""
  folder = os.path.join(_ROOT.value, name)
  runs.command("experiments.train", f"{_CONFIG}:{name}", folder, *_EXTRA.value, one_core=False)
  print(f"{name} is complete", flush=True)
  return folder


def table(folders: dict[str, str]) -> str:
  """Markdown: a row for each task's run folder."""
  rows = [" | ".join(_COLUMNS), " | ".join("---" for _ in _COLUMNS)]
  rows += [" | ".join(_row(name, folder)) for name, folder in folders.items()]
  return "\n".join(f"| {row} |" for row in rows)


def _row(name: str, folder: str) -> list[str]:
  lines = runs.lines(folder)
  before, *_, shown = _accuracies(lines, "warm_start")
  *_, after = _accuracies(lines, "grpo")
  learning = [line for line in lines if line["stage"] == "grpo"]
  rewards, unlike, seconds = (
    [value for _, value in runs.curve(learning, figure)]
    for figure in ("reward/mean", "groups/no_signal", "time/step_s")
  )
  return [
    name,
    gym.TASKS[name].kind,
    example(folder),
    *(f"{accuracy:.3f}" for accuracy in (before, shown, after)),
    f"{constant(folder):.3f}",
    f"{statistics.mean(unlike):.2f}",
    str(len(rewards)),
    f"{sum(seconds):.0f}",
    f"{statistics.mean(rewards[-max(len(rewards) // 10, 1) :]):.3f}",
  ]


def _accuracies(lines: runs.Lines, stage: str) -> list[float]:
  return [value for _, value in runs.curve([line for line in lines if line["stage"] == stage])]


def example(folder: str, longest: int = 90) -> str:
  """The first prompt of a run, or its end where it is long, and the answer."""
  with open(os.path.join(folder, "samples.jsonl"), encoding="utf-8") as file:
    first = json.loads(file.readline())
  asked = " ".join(first["prompt"].split())
  asked = asked if len(asked) <= longest else "... " + asked[-longest:]
  return f"{asked} → {first['answer']}".replace("|", "\\|")


def constant(folder: str) -> float:
  """What one answer to all held-out questions would be worth at most."""
  with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
    saved: dict[str, Any] = json.load(file)["config"]
  task = tasks.build(config.Gym(name=saved["task"]["name"], fields=saved["task"]["fields"]))
  examples = task.held_out(saved["evaluation"]["problems"])
  answers = collections.Counter(example.fields["answer"] for example in examples)
  return answers.most_common(1)[0][1] / len(examples)


if __name__ == "__main__":
  app.run(main)
