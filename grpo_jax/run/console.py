"""The lines a person sees while a run goes on: plain text, as good in a file as in a terminal."""

import math
import re
from collections.abc import Sequence

# Escape sequences, control characters, breaks and turns of the line, which a model can write and a
# terminal would obey.
_CONTROL = re.compile(
  r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x09\x0b-\x1f\x7f-\x9f]|[\ud800-\udfff]"
  r"|[\u2028-\u202e\u2066-\u2069]"
)
_LONGEST = 90


def step_line(
  stage: str, step: int, steps: int, figures: dict[str, float], seconds_left: float
) -> str:
  """One line a step: what is there of reward, length, entropy, KL, loss, rate, speed, time left."""
  parts = [f"{stage} {step:>{len(str(steps))}}/{steps}"]
  for name, label, form in _COLUMNS:
    value = figures.get(name)
    if value is not None and not math.isnan(value):
      parts.append(f"{label} {value:{form}}")
  if "time/tokens_per_s" in figures:
    parts.append(f"{figures['time/tokens_per_s']:.0f} tok/s {figures['time/step_s']:.1f}s")
  return "  ".join([*parts, f"left {duration(seconds_left)}"])


_COLUMNS = (
  ("reward/mean", "reward", ".2f"),
  ("loss/sft", "loss", ".4f"),
  ("length/mean", "len", "4.1f"),
  ("policy/entropy", "entropy", ".2f"),
  ("policy/kl_old", "kl", ".4f"),
  ("policy/kl_ref", "kl_ref", ".4f"),
  ("train/grad_norm", "grad", ".2f"),
  ("train/lr", "lr", ".1e"),
)


def sample_block(
  prompt: str, completions: Sequence[str], rewards: Sequence[float], advantages: Sequence[float]
) -> str:
  """A prompt with its best and its worst answer, and what each was worth."""
  order = sorted(range(len(completions)), key=lambda row: _or_lowest(rewards[row]))
  lines = [f"  prompt  {shown(prompt)}"]
  for label, row in (("best ", order[-1]), ("worst", order[0])):
    worth = f"{rewards[row]:.2f} (advantage {advantages[row]:+.2f})"
    lines.append(f"  {label}   {worth}  {shown(completions[row])}")
  return "\n".join(lines)


def evaluation_line(stage: str, step: int, accuracy: float, problems: int) -> str:
  """Held-out accuracy."""
  return f"{stage} after step {step}: held-out accuracy {accuracy:.3f} on {problems} problems"


def closing(workdir: str, before: float, after: float, picture: str | None) -> str:
  """The last lines of a run: how it went, where it is, and what to type next."""
  lines = [
    "",
    f"held-out accuracy {before:.3f} -> {after:.3f}",
    f"run folder        {workdir}",
    *([f"learning curve    {picture}"] if picture else []),
    f"samples           {workdir}/samples.jsonl",
    "next              tensorboard --logdir " + workdir,
    "                  python -m experiments.train --config=FILE --workdir=OTHER_FOLDER"
    " --config.FIELD=VALUE",
  ]
  return "\n".join(lines)


def shown(text: str) -> str:
  """Text of a model on one line that a terminal can be given: no control codes, not too long."""
  text = _CONTROL.sub("", text[: 4 * _LONGEST]).replace("\n", "⏎")
  return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def duration(seconds: float) -> str:
  """As 45s, 3m20s or 2h05m."""
  minutes, rest = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  if hours:
    return f"{hours}h{minutes:02}m"
  return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def _or_lowest(reward: float) -> float:
  return -math.inf if math.isnan(reward) else reward
