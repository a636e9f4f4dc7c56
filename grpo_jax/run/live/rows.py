"""Which figures a table shows, in which order, by which names, and how their values are written."""

import math
from collections.abc import Iterable

from grpo_jax.run.console import short, shown

# (figure, what it is called, format); where there is no room the last are left out.
_ROWS = (
  ("reward/mean", "reward", ".3f"),
  ("eval/accuracy", "held-out accuracy", ".3f"),
  ("loss/sft", "loss", ".4f"),
  ("loss/text", "loss", ".4f"),
  ("loss/reward_model", "loss", ".4f"),
  ("reward_model/accuracy", "pairs right", ".3f"),
  ("eval/reward_accuracy", "held-out pairs", ".3f"),
  ("eval/perplexity", "held-out perplexity", ".3f"),
  ("length/mean", "length", ".1f"),
  ("policy/entropy", "entropy", ".3f"),
  ("policy/kl_ref", "KL to reference", ".2g"),
  ("policy/kl_old", "KL to old policy", ".2g"),
  ("policy/clip", "clip fraction", ".3f"),
  ("value/explained_variance", "value EV", ".2f"),
  ("train/grad_norm", "gradient norm", ".3g"),
  ("train/lr", "learning rate", ".1e"),
  ("time/tokens_per_s", "tokens/s", "short"),
  ("length/truncated", "cut off", ".3f"),
  ("groups/no_signal", "no signal", ".3f"),
  ("memory/peak_gb", "memory, GB", ".2f"),
)
# Below reward/ and eval/ are the parts of a reward and held-out scores, by names of their own.
_OTHERS = ("mean", "std", "unscored", "problems", "length", "truncated", "loss", "accuracy")
_NO_PARTS = ("/weighted", "/mean", "/accuracy")


def chosen(figures: Iterable[str]) -> list[tuple[str, str, str]]:
  """(figure, label, format) of those that are there."""
  there = dict.fromkeys(figures)
  found = [row for row in _ROWS if row[0] in there]
  parts = [_part(name, "reward/", "  ") for name in there if _is_part(name, "reward/")]
  scores = [_part(name, "eval/", "held-out ") for name in there if _is_part(name, "eval/")]
  after = 1 if found and found[0][0] == "reward/mean" else 0
  # The only part of a reward is the reward.
  more = parts if len(parts) > 1 else []
  return [*found[:after], *more, *found[after : after + 1], *scores, *found[after + 1 :]]


def number(value: float, form: str) -> str:
  """A value as its row writes it; a dash where there is none."""
  if not math.isfinite(value):
    return "-"
  return short(value) if form == "short" else format(value, form)


def _is_part(name: str, room: str) -> bool:
  own = name.removeprefix(room)
  if own == name or own in _OTHERS or name in {row[0] for row in _ROWS}:
    return False
  return not own.startswith(("failed/", "correlation/", "reward_")) and not own.endswith(_NO_PARTS)


def _part(name: str, room: str, before: str) -> tuple[str, str, str]:
  """A function of a file is named by its path: the end of it says enough."""
  return name, before + shown(name.removeprefix(room).rpartition("/")[2]), ".3f"
