"""What makes one algorithm another: advantages, shaping, selection of prompts, loss."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from grpo_jax.config.fields import Config, field
from grpo_jax.config.loss import LossConfig

BASELINES = ("mean", "leave_one_out", "length_weighted", "none")
SCALES = ("group_std", "batch_std", "batch_reward_std", "group_mean", "none")
NO_SIGNAL = ("keep", "drop", "refill")


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Grouping(Config):
  """The keyword arguments of `grouping.group_advantages`, which says what each means.

  It is a mapping too, so that `group_advantages(rewards, **preset.grouping)` works.
  """

  baseline: str = field("mean", choices=BASELINES)
  scale: str = field("group_std", choices=SCALES)
  ddof: int = field(0, choices=(0, 1))
  eps: float = field(1e-6, least=0)

  def keys(self) -> Iterator[str]:
    return iter(f.name for f in dataclasses.fields(self))

  def __getitem__(self, name: str) -> Any:
    return getattr(self, name)

  def contradictions(self) -> list[str]:
    if self.scale == "group_mean" and self.baseline != "mean":
      return ["scale='group_mean' (MaxRL) is defined with baseline='mean' only"]
    if self.ddof and not self.scale.endswith("_std"):
      return [f"ddof={self.ddof} has no effect with scale={self.scale!r}: it is of a std"]
    return []


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Shaping(Config):
  """What is done to rewards and advantages besides comparing within the group.

  gdpo: each reward is normalised in its group by itself, and their weighted sum over the batch, so
    that a reward of small range is heard (Liu et al. 2026, GDPO). The grouping is per reward then.
  whiten: at last, advantages are normalised over all tokens of the batch (REINFORCE++).
  overlong_buffer: tokens before turns x max_tokens over which a penalty grows from 0 to 1, taken
    off the reward (Yu et al. 2025, DAPO, eq. 13); 0 is off.
  """

  gdpo: bool = False
  whiten: bool = False
  overlong_buffer: int = field(0, least=0)


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Selection(Config):
  """Which prompts are worth an update.

  no_signal: a group whose rewards are all equal is, with "keep", counted in the denominators of the
    loss; with "drop", left out of them and of every term; with "refill", dropped while further
    prompts are sampled until the batch is full (DAPO's dynamic sampling).
  rounds: the most rollouts a step, for "refill".
  retire_at: a prompt solved at this rate in the past is not asked again; 0 is off (ScaleRL: 0.9).
  """

  no_signal: str = field("keep", choices=NO_SIGNAL)
  rounds: int = field(4, least=2)
  retire_at: float = field(0.0, least=0, most=1)

  def contradictions(self) -> list[str]:
    if self.rounds != 4 and self.no_signal != "refill":
      return [f"rounds={self.rounds} has no effect with no_signal={self.no_signal!r}"]
    return []


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class AlgorithmConfig(Config):
  """A published recipe; a mapping too, so that GRPO(steps=100, **preset("dapo")) works."""

  grouping: Grouping = field(Grouping)
  shaping: Shaping = field(Shaping)
  selection: Selection = field(Selection)
  loss: LossConfig = field(LossConfig)

  def keys(self) -> Iterator[str]:
    return iter(f.name for f in dataclasses.fields(self))

  def __getitem__(self, name: str) -> Any:
    return getattr(self, name)
