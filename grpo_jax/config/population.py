"""Several runs of one experiment in one program, which differ in numbers alone."""

import dataclasses
import math
import re

from grpo_jax.config.fields import Config, field

# What a compiled program can be given as an array, below the config of a stage.
ARRAYS = (
  *(f"optimizer.{name}" for name in ("lr", "min_lr", "beta1", "beta2", "eps", "weight_decay")),
  "optimizer.max_grad_norm",
  *(f"rollout.{name}" for name in ("temperature", "top_p", "min_p")),
  *(f"loss.{name}" for name in ("clip_low", "clip_high", "dual_clip", "ratio_floor", "ratio_cap")),
  *(f"loss.{name}" for name in ("tau_positive", "tau_negative", "sampler_floor", "sampler_cap")),
  *(f"loss.{name}" for name in ("sampler_sequence_cap", "kl_coefficient", "entropy_coefficient")),
  "lora.alpha",
  "grouping.eps",
)


_STAGE = re.compile(r"stages\.([^.]+)\.(.+)")
# Those that are compiled in or not: 0 is not a small value of them.
_SWITCHES = (
  *("optimizer.max_grad_norm", "loss.dual_clip", "loss.kl_coefficient"),
  "loss.entropy_coefficient",
)


def split_path(path: str) -> tuple[str, str] | None:
  """The stage's name of a path stages.NAME.FIELD, and the field; None of other paths."""
  match = _STAGE.fullmatch(path)
  return None if match is None else (match[1], match[2])


def can_vary(path: str) -> bool:
  """Whether members of one population can have different values there."""
  found = split_path(path)
  if found is None:
    return path == "seed"
  return found[1] in ARRAYS or found[1].startswith("rewards.")


def is_switch(path: str) -> bool:
  """Whether 0 there leaves something out of the program."""
  return path.endswith(_SWITCHES) or ".rewards." in path


@dataclasses.dataclass(kw_only=True)
class Population(Config):
  """`size` members, trained side by side; 1 is a run by itself.

  vary: values of each member, by the path of the field, as in {"stages.grpo.optimizer.lr": (1e-4,
    3e-4)}: one of `ARRAYS` of a stage, a weight stages.NAME.rewards.REWARD, or "seed". Without
    "seed", member m has the experiment's seed + m.
  devices: that members are spread over, as many on each; 0 is all that are there and divide them,
    which without an accelerator are the cores.
  together: members that the device works on at one time, one after another in groups of so many; 0
    is all of them, but on a CPU one, whose caches hold one member's arrays.
  """

  size: int = field(1, least=1)
  vary: dict[str, tuple[float, ...]] = field(dict)
  devices: int = field(0, least=0)
  together: int = field(0, least=0)

  def contradictions(self) -> list[str]:
    problems = [
      f"vary[{path!r}] has {len(values)} values, and size={self.size} members"
      for path, values in self.vary.items()
      if len(values) != self.size
    ]
    problems += [
      f"vary[{path!r}]={values}: must be finite numbers"
      for path, values in self.vary.items()
      if not all(map(math.isfinite, values))
    ]
    problems += [
      f"vary[{path!r}]={values}: 0 is off, and what some members compute all have to"
      for path, values in self.vary.items()
      if is_switch(path) and 0 in values
    ]
    problems += [
      f"vary['seed']={values}: must be whole numbers"
      for path, values in self.vary.items()
      if path == "seed" and any(value != int(value) for value in values if math.isfinite(value))
    ]
    if self.size == 1 and (self.vary or self.devices or self.together):
      problems.append("vary, devices, together are of a population: size=1 is a run by itself")
    for name, parts in (("devices", self.devices), ("together", self.together)):
      if parts and self.size % parts:
        problems.append(f"{name}={parts} does not divide size={self.size}")
    return problems
