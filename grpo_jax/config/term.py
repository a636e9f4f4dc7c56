"""A reward of a stage: how much it counts, when, and where."""

import dataclasses

from grpo_jax.config.fields import Config, field


@dataclasses.dataclass(kw_only=True)
class Term(Config):
  """A reward's weight, and what it depends on.

  weight: w, negative for a penalty.
  schedule: how w goes to end_weight between the stage's steps `start` and `end`: "linear",
    "cosine", or "step", at once at `start`; "constant" stays.
  gate: the name of another reward of the stage on which this one hangs; empty is none.
  gate_how: "met", this one counts where the other is at least gate_at, and is 0 elsewhere;
    "multiply", it is multiplied with the other.
  unscored: what NaN means: "drop", the answer has no score at all; "zero", this reward says nothing
    of it.
  """

  weight: float = 1.0
  schedule: str = field("constant", choices=("constant", "linear", "cosine", "step"))
  end_weight: float = 0.0
  start: int = field(0, least=0)
  end: int = field(0, least=0)
  gate: str = ""
  gate_how: str = field("met", choices=("met", "multiply"))
  gate_at: float = 1.0
  unscored: str = field("drop", choices=("drop", "zero"))

  def contradictions(self) -> list[str]:
    problems = []
    gliding = self.schedule in ("linear", "cosine")
    if gliding and self.end <= self.start:
      problems.append(
        f"end={self.end} must be after start={self.start} with schedule={self.schedule!r}"
      )
    if not gliding and self.end:
      problems.append(f"end={self.end} is of schedule='linear' or 'cosine', not {self.schedule!r}")
    if self.schedule == "constant" and (self.start or self.end_weight):
      problems.append("schedule='constant' never changes: set start=0 and end_weight=0")
    if not self.gate and (self.gate_how, self.gate_at) != ("met", 1.0):
      problems.append("gate_how and gate_at need a gate: name another reward")
    if self.gate_how == "multiply" and self.gate_at != 1:
      problems.append(f"gate_at={self.gate_at} is of gate_how='met', not 'multiply'")
    return problems


def as_terms(rewards: dict[str, float | Term]) -> dict[str, Term]:
  """Each reward with its Term; a number is a weight."""
  return {
    name: term if isinstance(term, Term) else Term(weight=term) for name, term in rewards.items()
  }


def gate_problems(rewards: dict[str, float | Term]) -> list[str]:
  """Gates that are not there, hang on themselves, or on another gated reward."""
  problems, terms = [], as_terms(rewards)
  for name, term in terms.items():
    if not term.gate:
      continue
    where = f"rewards.{name}.gate={term.gate!r}"
    if term.gate not in terms or term.gate == name:
      problems.append(f"{where} must be another reward of the stage: {', '.join(terms)}")
    elif terms[term.gate].gate:
      problems.append(f"{where} is gated itself: gates do not chain")
  return problems
