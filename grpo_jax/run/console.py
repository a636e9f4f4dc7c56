"""The lines a person sees while a run goes on: plain text, as good in a file as in a terminal."""

import math
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

# Escape sequences, control characters, breaks and turns of the line, which a model can write and a
# terminal would obey.
_CONTROL = re.compile(
  r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x09\x0b-\x1f\x7f-\x9f]|[\ud800-\udfff]"
  r"|[\u2028-\u202e\u2066-\u2069]"
)
_LONGEST = 90


def step_line(
  stage: str, step: int, steps: int, figures: Mapping[str, float], seconds_left: float
) -> str:
  """One line a step, in columns: what there is of reward, length, entropy H, KL, speed, time left.

  Of two KLs the one to the reference is shown. A figure without a value is a dash.
  """
  hidden = "policy/kl_old" if "policy/kl_ref" in figures else ""
  parts = [f"{stage} {step:>{len(str(steps))}}/{steps}"]
  parts += [
    f"{label} {_column(figures[name], width, form)}"
    for name, label, width, form in _COLUMNS
    if name in figures and name != hidden
  ]
  if "time/tokens_per_s" in figures:
    parts.append(f"{short(figures['time/tokens_per_s']):>4} tok/s")
  if "time/step_s" in figures:
    parts.append(f"{_column(figures['time/step_s'], 5, '.1f')}s")
  return "  ".join([*parts, f"left {duration(seconds_left)}"])


# (figure, label, width of the widest usual value, format)
_COLUMNS = (
  ("reward/mean", "reward", 5, ".2f"),
  ("loss/sft", "loss", 6, ".4f"),
  ("loss/text", "loss", 6, ".4f"),
  ("loss/reward_model", "loss", 6, ".4f"),
  ("reward_model/accuracy", "right", 5, ".3f"),
  ("value/explained_variance", "EV", 5, ".2f"),
  ("length/mean", "len", 5, ".1f"),
  ("policy/entropy", "H", 4, ".2f"),
  ("policy/kl_old", "KL", 6, ".4f"),
  ("policy/kl_ref", "KL", 6, ".4f"),
  ("train/grad_norm", "grad", 5, ".2f"),
  ("train/lr", "lr", 7, ".1e"),
)


def _column(value: float, width: int, form: str) -> str:
  return f"{'-' if math.isnan(value) else format(value, form):>{width}}"


def short(count: float) -> str:
  """A count as 58, 1.2k, 12k or 3.4M."""
  if not math.isfinite(count):
    return "-"
  for size, unit in ((1e6, "M"), (1e3, "k")):
    if round(count) >= size:
      return f"{count / size:.{int(count < 9.95 * size)}f}{unit}"
  return f"{count:.0f}"


def sample_block(
  prompt: str, completions: Sequence[str], rewards: Sequence[float], advantages: Sequence[float]
) -> str:
  """A prompt with its best and its worst answer, and what each was worth."""
  order = ranked(rewards)
  lines = [f"  prompt  {shown(prompt)}"]
  for label, row in (("best ", order[-1]), ("worst", order[0])):
    worth = f"{rewards[row]:.2f} (advantage {advantages[row]:+.2f})"
    lines.append(f"  {label}   {worth}  {shown(completions[row])}")
  return "\n".join(lines)


def evaluation_line(stage: str, step: int, figures: Mapping[str, float]) -> str:
  """Held-out figures: accuracy on how many problems, and what else there is."""
  parts = []
  if "eval/accuracy" in figures:
    problems = int(figures["eval/problems"])
    parts.append(f"held-out accuracy {figures['eval/accuracy']:.3f} on {problems} problems")
  parts += [
    f"{name.removeprefix('eval/')} {_column(value, 0, '.3f')}"
    for name, value in figures.items()
    if name not in _BESIDE_ACCURACY
  ]
  return f"{stage} after step {step}: {', '.join(parts)}"


_BESIDE_ACCURACY = {
  f"eval/{name}" for name in ("accuracy", "problems", "length", "truncated", "unscored")
}


def stage_table(evaluations: Sequence[Mapping[str, Any]], scores: Sequence[str]) -> str:
  """Held-out scores before all stages and after each: a line a stage."""
  names = ("accuracy", *scores)
  widths = [max(len(name), len("0.000")) for name in names]
  last = {("start" if line["step"] == 0 else line["stage"]): line for line in evaluations}
  longest = max(len(stage) for stage in last)
  head = "  ".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))
  lines = ["", " " * (len("after ") + longest + 2) + head]
  for stage, line in last.items():
    values = [line.get(f"eval/{name}") for name in names]
    cells = [
      f"{'-' if value is None else format(value, '.3f'):>{width}}"
      for value, width in zip(values, widths, strict=True)
    ]
    when = "     " if stage == "start" else "after"
    lines.append(f"{when} {stage:<{longest}}  " + "  ".join(cells))
  return "\n".join(lines)


def closing(
  workdir: str, ends: Sequence[float] | None, picture: str | None, page: str | None = None
) -> str:
  """The last lines of a run: how it went, where it is, and what to type next.

  ends: accuracy before and after; None where no policy was evaluated. picture, page: files that
  were written.
  """
  folder = shlex.quote(workdir)
  then = [f"{python()} -m experiments.evaluate --workdir={folder}"] if ends else []
  if shutil.which("tensorboard"):
    then.append(f"tensorboard --logdir {folder}")
  lines = [
    "",
    *([f"held-out accuracy {ends[0]:.3f} -> {ends[1]:.3f}"] if ends else []),
    f"run folder        {workdir}",
    *([f"learning curve    {picture}"] if picture else []),
    *([f"report            {page}"] if page else []),
    f"samples           {workdir}/samples.jsonl",
    *(f"{'' if at else 'next':<18}{line}" for at, line in enumerate(then)),
  ]
  return "\n".join(lines)


def python() -> str:
  """What to type for the interpreter of this process: its name where that is the one found."""
  found, own = shutil.which("python"), sys.executable
  if found and os.path.abspath(found) == os.path.abspath(own):
    return "python"
  below = os.path.relpath(own)
  return shlex.quote(own if below.startswith("..") else below)


def shown(text: str, longest: int = _LONGEST) -> str:
  """Text of a model on one line that a terminal can be given: no control codes, not too long."""
  text = stripped(text[: 4 * longest]).replace("\n", "⏎")
  return text if len(text) <= longest else text[: longest - 1] + "…"


def stripped(text: str) -> str:
  """Text without what a terminal would obey, but for the ends of its lines."""
  return _CONTROL.sub("", text.replace("\t", " "))


def duration(seconds: float) -> str:
  """As 45s, 3m20s or 2h05m; a dash where it is not known."""
  if not math.isfinite(seconds):
    return "-"
  minutes, rest = divmod(max(round(seconds), 0), 60)
  hours, minutes = divmod(minutes, 60)
  if hours:
    return f"{hours}h{minutes:02}m"
  return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def ranked(rewards: Sequence[float]) -> list[int]:
  """The places of rewards from the lowest to the highest; one that is NaN counts as the lowest."""
  worth = [-math.inf if math.isnan(reward) else reward for reward in rewards]
  return sorted(range(len(worth)), key=worth.__getitem__)
