"""Console scripts: `grpo-train` is `python -m experiments.train`, and so are the others.

Each runs its module as the main one, so that --help and what a run says are the same either way.
"""

import functools
import runpy


def _run(name: str) -> None:
  runpy.run_module(f"experiments.{name}", run_name="__main__", alter_sys=True)


train = functools.partial(_run, "train")
sweep = functools.partial(_run, "sweep")
evaluate = functools.partial(_run, "evaluate")
generate = functools.partial(_run, "generate")
plan = functools.partial(_run, "plan")
report = functools.partial(_run, "report")
export = functools.partial(_run, "export")
doctor = functools.partial(_run, "doctor")
replay = functools.partial(_run, "replay")
