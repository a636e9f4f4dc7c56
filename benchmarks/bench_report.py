"""What bench.py measured, as Markdown and as a picture."""

import datetime
import os
import platform
import re
import statistics

from benchmarks.floor import floor_seconds
from benchmarks.workloads import WORKLOADS

_HEAD = "## `make bench`"


def table(workload: str, runs: list[dict]) -> str:
  """Medians over all timed steps of a workload; the floor with the best rates that were seen."""
  rates = [run for run in runs if run["name"] == "floor"]
  if not rates:
    return ""
  best = {rate: max(run[rate] for run in rates) for rate in ("gflops", "gflops_decode", "gb_per_s")}
  work = WORKLOADS[workload]
  floor = floor_seconds(work, best)
  whole = step_seconds(runs, "grpo_jax")
  lines = [
    f"### {workload.upper()}: {work}",
    "",
    f"{best['gflops']:.0f} GFLOP/s, {best['gflops_decode']:.0f} with 16 rows,"
    f" {best['gb_per_s']:.1f} GB/s; {len(rates)} rounds.",
    "",
    "| | rollout | update | step | against ours | share of the floor | peak memory | compile |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
    f"| floor | {floor[0]:.1f} s | {floor[1]:.1f} s | {sum(floor):.1f} s | | | | |",
  ]
  for name in dict.fromkeys(run["name"] for run in runs if run["name"] != "floor"):
    own = [run for run in runs if run["name"] == name]
    lines.append(f"| {name} | {_cells(own, sum(whole), sum(floor))} |")
  return "\n".join(lines)


def _cells(own: list[dict], whole: float, floor: float) -> str:
  if given_up := [run["given_up"] for run in own if "given_up" in run]:
    return f"{given_up[0]} | | | | | | "
  rollout, update = step_seconds(own, own[0]["name"])
  step = rollout + update
  peak = statistics.median(run["peak_gb"] for run in own)
  first = statistics.median(sum(run["first"]) for run in own) - step
  compiling = f"{max(first, 0):.0f} s" if own[0]["rollout"] else "in the step"
  return (
    f"{rollout:.1f} s | {update:.1f} s | {step:.1f} s | {step / whole:.2f}x |"
    f" {floor / step:.0%} | {peak:.1f} GB | {compiling}"
  )


def step_seconds(runs: list[dict], name: str) -> tuple[float, float]:
  """Median seconds of rollout and update; of runs that took one step only, of that."""
  own = [run for run in runs if run["name"] == name and "first" in run]
  rollout, update = (
    statistics.median(s for run in own for s in (run[phase] or [run["first"][index]]))
    for index, phase in enumerate(("rollout", "update"))
  )
  return rollout, update


def write_section(path: str, text: str) -> None:
  """Puts the text in place of the section of the last time, or at the end of the file."""
  date, cores = datetime.date.today().isoformat(), os.cpu_count()
  section = f"{_HEAD}, {date}\n\n{cores} cores, {_processor()}, float32 on the CPU.\n\n{text}\n\n"
  with open(path) as file:
    old = file.read()
  pattern = re.compile(rf"{re.escape(_HEAD)}.*?\n(?=## (?!#)|\Z)", re.DOTALL)
  found = pattern.search(old)
  start, end = found.span() if found else (len(old), len(old))
  with open(path, "w") as file:
    file.write(f"{old[:start].rstrip()}\n\n{section}{old[end:]}".rstrip() + "\n")


def _processor() -> str:
  if os.path.exists("/proc/cpuinfo"):
    with open("/proc/cpuinfo") as file:
      names = re.findall(r"model name\s*: (.*)", file.read())
      return names[0].strip() if names else platform.machine()
  return platform.processor() or platform.machine()


def draw(runs: list[dict], path: str) -> None:
  """Steps as stacked bars, and peak memory, a panel a workload."""
  import matplotlib

  matplotlib.use("Agg")
  import matplotlib.pyplot as plt

  shown = [name for name in WORKLOADS if any(run["workload"] == name for run in runs)]
  figure, axes = plt.subplots(2, len(shown), figsize=(4 * len(shown), 5), squeeze=False)
  for column, workload in enumerate(shown):
    own = [run for run in runs if run["workload"] == workload and "first" in run]
    names = list(dict.fromkeys(run["name"] for run in own))
    times = [step_seconds(own, name) for name in names]
    above, below = axes[0][column], axes[1][column]
    above.bar(names, [time[0] for time in times], label="rollout", color="#4477aa")
    above.bar(
      names, [t[1] for t in times], bottom=[t[0] for t in times], label="update", color="#cc6677"
    )
    above.set_title(workload.upper())
    below.bar(
      names,
      [statistics.median(run["peak_gb"] for run in own if run["name"] == name) for name in names],
      color="#999933",
    )
    above.set_xticks([])
    below.tick_params(axis="x", rotation=20)
  axes[0][0].set_ylabel("seconds a step")
  axes[1][0].set_ylabel("peak memory, GB")
  axes[0][0].legend(frameon=False)
  figure.tight_layout()
  figure.savefig(path, dpi=110)
