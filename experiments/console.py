"""Console scripts: `grpo-train` is `python -m experiments.train`, and so are the others.

Each runs its module as the main one, so that --help and what a run says are the same either way.
"""

import runpy


def train() -> None:
  """grpo-train."""
  _run("train")


def sweep() -> None:
  """grpo-sweep."""
  _run("sweep")


def evaluate() -> None:
  """grpo-evaluate."""
  _run("evaluate")


def generate() -> None:
  """grpo-generate."""
  _run("generate")


def plan() -> None:
  """grpo-plan."""
  _run("plan")


def report() -> None:
  """grpo-report."""
  _run("report")


def export() -> None:
  """grpo-export."""
  _run("export")


def doctor() -> None:
  """grpo-doctor."""
  _run("doctor")


def replay() -> None:
  """grpo-replay."""
  _run("replay")


def _run(name: str) -> None:
  runpy.run_module(f"experiments.{name}", run_name="__main__", alter_sys=True)
