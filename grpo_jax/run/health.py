"""What a run falls ill with, seen in its figures: each said once, with what to try."""

import bisect
import collections
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Line = Mapping[str, Any]
# The last lines of a stage's steps and evaluations -> what is wrong, or None.
Check = Callable[["Health"], str | None]
# Steps whose mean is looked at: one bad step is no illness.
_WINDOW = 5
# A KL begins at 0: what is less than this is taken for it.
_KL_STEPS, _KL_RISE, _KL_LEAST = 20, 10.0, 1e-2


class Health:
  """The lines of metrics.jsonl of one stage, as they come."""

  def __init__(self) -> None:
    self.steps: list[Line] = []
    self.evaluations: list[Line] = []
    self.best: Line | None = None  # of the evaluations before the last
    # Steps that have a mean reward, and it: a check may not go through all steps at each.
    self.rewarded: tuple[list[int], list[float]] = ([], [])
    self._said: set[str] = set()

  def see(self, line: Line) -> list[str]:
    """Takes the next line; what is wrong for the first time, one line each."""
    if "eval/accuracy" in line:
      before = [self.best, *self.evaluations[-1:]]
      self.best = max((one for one in before if one), key=_accuracy, default=None)
      self.evaluations.append(line)
    else:
      self.steps.append(line)
      if line.get("reward/mean") is not None:
        self.rewarded[0].append(line["step"])
        self.rewarded[1].append(line["reward/mean"])
    found = {name: check(self) for name, check in CHECKS.items() if name not in self._said}
    self._said |= {name for name, said in found.items() if said}
    return [f"{name}: {said}" for name, said in found.items() if said]

  def recent(self, figure: str, steps: int = _WINDOW) -> float:
    """The mean of a figure over the last steps; NaN where there are fewer, or one has none."""
    found = (line.get(figure) for line in self.steps[-steps:])
    values = [value for value in found if value is not None]
    return sum(values) / steps if len(values) == steps else math.nan


def diagnose(lines: Iterable[Line]) -> list[tuple[str, int, str]]:
  """(stage, step, what was wrong) of a whole metrics.jsonl, in its order."""
  stages: dict[str, Health] = collections.defaultdict(Health)
  return [
    (line["stage"], line["step"], said)
    for line in lines
    for said in stages[line["stage"]].see(line)
  ]


def _entropy_collapse(health: Health) -> str | None:
  first = health.steps[0].get("policy/entropy") if health.steps else None
  now = health.recent("policy/entropy")
  if not first or not now < 0.1 * first:
    return None
  return (
    f"policy/entropy is {now:.3g}, less than a tenth of the {first:.3g} that it began with: answers"
    " no longer differ; try a lower optimizer.lr, loss.clip_high above clip_low,"
    " loss.entropy_coefficient or loss.kl_coefficient"
  )


def _no_signal(health: Health) -> str | None:
  now = health.recent("groups/no_signal")
  if not now > 0.8:
    return None
  right = health.recent("groups/all_right")
  cause = "are all right: harder prompts" if right > now / 2 else "are all wrong: easier prompts"
  return (
    f"{now:.0%} of groups had no signal in the last {_WINDOW} steps; most {cause}, a larger"
    " rollout.group_size, a denser reward, or selection.no_signal='refill' may help"
  )


def _length_explosion(health: Health) -> str | None:
  now = health.recent("length/truncated")
  if not now > 0.3:
    return None
  return (
    f"{now:.0%} of answers were cut off in the last {_WINDOW} steps, and have no end to be rewarded"
    " for: try a larger rollout.max_tokens, loss.mask_truncated, or shaping for length"
  )


def _kl_blow_up(health: Health) -> str | None:
  figure = (
    "policy/kl_ref" if health.steps and "policy/kl_ref" in health.steps[-1] else "policy/kl_old"
  )
  values = [line.get(figure) for line in health.steps[-_KL_STEPS - 1 :]]
  if len(values) <= _KL_STEPS or values[0] is None or values[-1] is None:
    return None
  if not values[-1] > _KL_RISE * max(values[0], _KL_LEAST):
    return None
  return (
    f"{figure} rose from {values[0]:.2g} to {values[-1]:.2g} within {_KL_STEPS} steps: updates are"
    " too large; try a lower optimizer.lr, fewer epochs or minibatches, a larger kl_coefficient"
  )


def _reward_hacking(health: Health) -> str | None:
  """The reward rises, and the held-out score has fallen by more than its counting error."""
  best = health.best
  if best is None:
    return None
  high, now = _accuracy(best), _accuracy(health.evaluations[-1])
  problems = health.evaluations[-1].get("eval/problems") or 1.0
  noise = 2 * math.sqrt(2 * high * (1 - high) / problems)
  steps, rewards = health.rewarded
  end = bisect.bisect_right(steps, best["step"])
  then = rewards[max(end - _WINDOW, 0) : end]
  reward = health.recent("reward/mean")
  before = sum(then) / len(then) if then else _first(health, "reward/mean")
  if not (now < high - max(noise, 0.05) and reward > before):
    return None
  return (
    f"eval/accuracy fell from {high:.2f} (step {best['step']}) to {now:.2f} while reward/mean rose"
    f" from {before:.2f} to {reward:.2f}: the reward pays for something else; read samples.jsonl,"
    " add a rule, loss.kl_coefficient, or stop.patience on the held-out score"
  )


def _accuracy(line: Line) -> float:
  """0 where it was not finite."""
  return line["eval/accuracy"] or 0.0


def _first(health: Health, figure: str) -> float:
  value = health.steps[0].get(figure) if health.steps else None
  return math.nan if value is None else float(value)


def _mismatch(health: Health) -> str | None:
  now = health.recent("mismatch/log_mean")
  if not now > 0.05:
    return None
  return (
    f"sampler and trainer differ by {now:.2g} in log-prob a token on average: top_k, top_p or min_p"
    " while training, a wrong temperature, or a short model.dtype; loss.sampler_correction accounts"
    " for it"
  )


def _bad_numbers(health: Health) -> str | None:
  bad, spikes = health.recent("train/nonfinite", 20), health.recent("train/spike", 20)
  if bad >= 0.05:
    return (
      f"{bad:.0%} of the last 20 updates were skipped, for their gradients were not finite: a lower"
      " optimizer.lr, or model.dtype='float32' or 'bfloat16'"
    )
  if spikes >= 0.05:
    return (
      f"{spikes:.0%} of the last 20 updates were skipped as spikes: a lower optimizer.lr or"
      " max_grad_norm, or a larger spike_sigma where they did no harm"
    )
  return None


def _failing_reward(health: Health) -> str | None:
  kinds = [f"reward/failed/{kind}" for kind in ("error", "invalid", "timeout", "crash")]
  shares = {kind: health.recent(kind) for kind in kinds}
  worst = max(shares, key=lambda kind: -1.0 if math.isnan(shares[kind]) else shares[kind])
  if not shares[worst] > 0.01:
    return None
  return (
    f"rewards failed on {shares[worst]:.1%} of answers ({worst.rpartition('/')[2]}) in the last"
    f" {_WINDOW} steps: their first tracebacks are on stderr, and in rewards.log what they print"
  )


CHECKS: dict[str, Check] = {
  "entropy collapse": _entropy_collapse,
  "no signal": _no_signal,
  "length explosion": _length_explosion,
  "KL blow-up": _kl_blow_up,
  "reward hacking": _reward_hacking,
  "sampler mismatch": _mismatch,
  "numbers gone bad": _bad_numbers,
  "failing reward": _failing_reward,
}
