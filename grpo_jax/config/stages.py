"""The stages of an experiment, each with its own data, optimiser and length."""

import dataclasses

from grpo_jax.config.algorithm import Grouping, Selection, Shaping
from grpo_jax.config.fields import field
from grpo_jax.config.loss import LossConfig
from grpo_jax.config.stage import Stage
from grpo_jax.config.term import Term, gate_problems
from grpo_jax.config.turns import Turns

_COLDEST = 0.01


@dataclasses.dataclass(kw_only=True)
class Rollout(Turns):
  """How answers are sampled: prompts a step, G answers each, in turns as `Turns` has them.

  temperature: 0 is greedy. top_k 0, top_p 1 and min_p 0 are off.
  """

  prompts: int = field(8, least=1)
  group_size: int = field(8, least=1)
  temperature: float = field(1.0, least=0)
  top_k: int = field(0, least=0)
  top_p: float = field(1.0, above=0, most=1)
  min_p: float = field(0.0, least=0, below=1)


@dataclasses.dataclass(kw_only=True)
class SFT(Stage):
  """Supervised fine-tuning on the task's own solutions: batch_size examples an update.

  max_tokens: the longest solution, its stop token included; a longer one is an error. Of an
    environment, a whole episode with its observations.
  """

  batch_size: int = field(32, least=1)
  max_tokens: int = field(64, least=1)

  @property
  def batch(self) -> tuple[int, str]:
    return self.batch_size, "batch_size"

  @property
  def longest(self) -> tuple[int, str]:
    return self.max_tokens, "max_tokens"


@dataclasses.dataclass(kw_only=True)
class GRPO(Stage):
  """Group-relative policy optimisation: sample, score, compare within the group, update.

  rewards: weight of each reward, or a Term, by its name in `grpo_jax.rewards`, "file.py:function",
    or "stage:NAME" for the reward model that stage NAME has trained.
  minibatches, epochs: a rollout gives minibatches x epochs updates; with 1 x 1 the update is
    on-policy and the old log-probs are its own.
  strict: recomputes the old log-probs all the same, and stops the run where they differ from the
    update's own by more than 1e-5.
  reference_dtype: the type in which a KL's reference policy is kept.
  reference_place: "host", it waits in the host's memory, and is sent over for one pass a step.
  staleness: prompts of a step are answered while earlier steps are learned from, by the policy of
    at most so many steps before, which loss.sampler_correction accounts for; 0 waits for each
    update. After a state that is saved the first step waits for its own.
  steps_per_program: steps that are compiled as one program, where all rewards are in JAX: nothing
    waits for the host between them. Samples are then of the last step of each program.
  """

  rollout: Rollout = field(Rollout)
  grouping: Grouping = field(Grouping)
  shaping: Shaping = field(Shaping)
  selection: Selection = field(Selection)
  loss: LossConfig = field(LossConfig)
  rewards: dict[str, float | Term] = field(lambda: {"number": 1.0})
  minibatches: int = field(1, least=1)
  epochs: int = field(1, least=1)
  strict: bool = False
  reference_dtype: str = field("float32", choices=("float32", "bfloat16"))
  reference_place: str = field("device", choices=("device", "host"))
  staleness: int = field(0, least=0)
  steps_per_program: int = field(1, least=1)

  @property
  def updates(self) -> int:
    return self.steps * self.minibatches * self.epochs

  @property
  def early_kl(self) -> bool:
    """Whether advantages need the KL to the reference: it is known before the update."""
    return self.loss.kl_coefficient > 0 and self.loss.kl_place != "loss"

  @property
  def needs_old(self) -> bool:
    """Whether old log-probs take a pass of their own; else the update's own are exact."""
    return self.minibatches * self.epochs > 1 or self.early_kl or self.strict

  @property
  def needs_look(self) -> bool:
    """Whether any forward pass is taken between rollout and update."""
    return self.needs_old or self.loss.entropy_top < 1 or self.loss.kl_coefficient > 0

  @property
  def batch(self) -> tuple[int, str]:
    return self.rollout.prompts // self.minibatches, "rollout.prompts / minibatches"

  @property
  def group(self) -> int:
    return self.rollout.group_size

  @property
  def longest(self) -> tuple[int, str]:
    return self.rollout.total_tokens, self.rollout.total_name("rollout.")

  def contradictions(self) -> list[str]:
    sizes, problems = self.rollout, super().contradictions()
    if sizes.prompts % self.minibatches:
      problems.append(
        f"rollout.prompts={sizes.prompts} is not divisible by minibatches={self.minibatches}"
      )
    comparing = self.grouping.baseline != "none" or self.grouping.scale == "group_std"
    if sizes.group_size == 1 and comparing:
      problems.append(
        "rollout.group_size=1 has nothing to compare with: a group baseline or z-score needs 2 or"
        " more (4 to 8 is usual), or grouping.baseline='none' and grouping.scale='none'"
      )
    if sizes.temperature == 0 or sizes.top_k == 1:
      problems.append(
        f"rollout.temperature={sizes.temperature}, top_k={sizes.top_k} is greedy: all answers of a"
        " group would be the same, without signal"
      )
    if 0 < sizes.temperature < _COLDEST:
      problems.append(
        f"rollout.temperature={sizes.temperature} is under {_COLDEST}, where logits overflow: 0 is"
        " greedy"
      )
    if not self.rewards:
      problems.append("rewards is empty: name at least one, as in rewards={'number': 1.0}")
    problems += gate_problems(self.rewards)
    asked, own = (self.reference_dtype, self.reference_place), self.switch.reference == "fresh"
    if asked != ("float32", "device") and self.lora.rank and own:
      problems.append(
        f"reference_dtype={asked[0]!r}, reference_place={asked[1]!r} with"
        f" lora.rank={self.lora.rank}: the reference is the weights without the adapters"
      )
    if asked != ("float32", "device") and not self.loss.kl_coefficient:
      problems.append(
        f"reference_dtype={asked[0]!r}, reference_place={asked[1]!r} without a reference: the loss"
        " has kl_coefficient=0"
      )
    if self.staleness and self.loss.sampler_correction == "none":
      problems.append(
        f"staleness={self.staleness} learns from answers of older policies:"
        " loss.sampler_correction='truncate' (or another) accounts for that"
      )
    return problems + self._algorithm_problems() + self._program_problems()

  def _program_problems(self) -> list[str]:
    """What a program of several steps has no place for."""
    if self.steps_per_program == 1:
      return []
    alone = {
      "rollout.turns": self.rollout.turns == 1,
      "minibatches": self.minibatches == 1,
      "epochs": self.epochs == 1,
      "strict": not self.strict,
      "staleness": self.staleness == 0,
      "loss.kl_coefficient": self.loss.kl_coefficient == 0,
      "loss.entropy_top": self.loss.entropy_top == 1,
      "selection.no_signal": self.selection.no_signal == "keep",
      "selection.retire_at": self.selection.retire_at == 0,
    }
    problems = [
      f"{name} cannot be used with steps_per_program={self.steps_per_program}, whose steps are one"
      " update each, of all that was sampled: leave it as it is by default, or"
      " steps_per_program=1"
      for name, default in alone.items()
      if not default
    ]
    if self.steps % self.steps_per_program:
      problems.append(
        f"steps={self.steps} is not divisible by steps_per_program={self.steps_per_program}"
      )
    return problems

  def _algorithm_problems(self) -> list[str]:
    """Combinations of the algorithm with the sizes of the rollout."""
    problems, G = [], self.rollout.group_size
    if G == 2 and self.grouping.scale == "group_std" and self.grouping.ddof == 1:
      problems.append(
        "rollout.group_size=2 with grouping.ddof=1 gives advantages of +-0.71 whatever the rewards"
        " are: a larger group, or grouping.scale='none'"
      )
    if G == 1 and self.selection.no_signal != "keep":
      problems.append(
        f"selection.no_signal={self.selection.no_signal!r} with rollout.group_size=1: one answer"
        " never differs from itself, so every group would be dropped"
      )
    if self.shaping.overlong_buffer > self.rollout.own_tokens:
      problems.append(
        f"shaping.overlong_buffer={self.shaping.overlong_buffer} is longer than"
        f" {self.rollout.own_name('rollout.')}={self.rollout.own_tokens}"
      )
    return problems
