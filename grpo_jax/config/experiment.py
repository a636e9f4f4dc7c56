"""The experiment: one model, one task, its stages in order, and what surrounds them."""

import dataclasses

from grpo_jax.config.fields import Config, field
from grpo_jax.config.model import Architecture, Model, RopeScaling
from grpo_jax.config.stages import GRPO, SFT, Optimizer, Rollout

__all__ = [
  "GRPO",
  "SFT",
  "Addition",
  "Architecture",
  "Checkpoint",
  "Evaluation",
  "Experiment",
  "Model",
  "Optimizer",
  "Parallel",
  "Questions",
  "Rollout",
  "RopeScaling",
]


@dataclasses.dataclass(kw_only=True)
class Addition(Config):
  """Sums of two numbers from low to high. Both orders of a held-out pair are kept from training.

  question: the user's message, with {a} and {b}. system: the system message; empty is none.
  """

  low: int = field(10, least=0)
  high: int = field(99, least=1)
  question: str = "What is {a} + {b}?"
  system: str = ""

  def contradictions(self) -> list[str]:
    problems = []
    if self.low >= self.high:
      problems.append(f"low={self.low} must be below high={self.high}")
    if "{a}" not in self.question or "{b}" not in self.question:
      problems.append(f"question={self.question!r} must contain {{a}} and {{b}}")
    return problems


@dataclasses.dataclass(kw_only=True)
class Questions(Config):
  """Questions and answers in JSONL files, as GSM8K has them.

  question, answer: names of the columns. answer_marker: the answer proper follows its last
  occurrence ("####" in GSM8K); empty takes the whole column.
  """

  train: str = ""
  held_out: str = ""
  question: str = "question"
  answer: str = "answer"
  answer_marker: str = "####"
  system: str = ""

  def contradictions(self) -> list[str]:
    missing = [name for name in ("train", "held_out") if not getattr(self, name)]
    return [f"{name} must name a JSONL file" for name in missing]


@dataclasses.dataclass(kw_only=True)
class Evaluation(Config):
  """Greedy answers to held-out problems, before, during and after each stage.

  every: steps between evaluations; 0 evaluates before and after only.
  reward: the reward whose full score counts as a right answer.
  max_tokens: the longest answer. batch_size: problems answered at one time.
  """

  problems: int = field(200, least=1)
  every: int = field(0, least=0)
  reward: str = "number"
  max_tokens: int = field(64, least=1)
  batch_size: int = field(100, least=1)


@dataclasses.dataclass(kw_only=True)
class Checkpoint(Config):
  """every: steps between checkpoints; the newest `keep` and the best by held-out score stay."""

  every: int = field(20, least=1)
  keep: int = field(2, least=1)


@dataclasses.dataclass(kw_only=True)
class Parallel(Config):
  """mode: "single" device, or "pmap" over all local devices, prompts split among them."""

  mode: str = field("single", choices=("single", "pmap"))


@dataclasses.dataclass(kw_only=True)
class Experiment(Config):
  """All of one run. stages: a plain dict, run in its order."""

  seed: int = field(0, least=0, most=2**31 - 1)
  model: Model
  task: Addition | Questions
  evaluation: Evaluation = field(Evaluation)
  parallel: Parallel = field(Parallel)
  checkpoint: Checkpoint = field(Checkpoint)
  stages: dict[str, SFT | GRPO]

  def contradictions(self) -> list[str]:
    problems = [] if self.stages else ["stages is empty: name at least one"]
    longest = {f"stages.{name}": _longest(stage) for name, stage in self.stages.items()}
    longest["evaluation"] = self.evaluation.max_tokens
    if self.model.architecture is not None:
      context = self.model.architecture.context_length
      problems += [
        f"{name} allows answers of {tokens} tokens; the model's context_length is {context}, with"
        " the prompt"
        for name, tokens in longest.items()
        if tokens >= context
      ]
    return problems + self._program_problems()

  def _program_problems(self) -> list[str]:
    """Programs of several steps end where something is done between them, on one device."""
    problems = []
    every = {"evaluation.every": self.evaluation.every, "checkpoint.every": self.checkpoint.every}
    for name, stage in self.stages.items():
      count = stage.steps_per_program if isinstance(stage, GRPO) else 1
      asked = f"stages.{name}.steps_per_program={count}"
      problems += [
        f"{field}={steps} is not divisible by {asked}"
        for field, steps in every.items()
        if steps % count
      ]
      if count > 1 and self.parallel.mode != "single":
        problems.append(f"{asked} needs parallel.mode='single', not {self.parallel.mode!r}")
    return problems


def _longest(stage: SFT | GRPO) -> int:
  return stage.rollout.max_tokens if isinstance(stage, GRPO) else stage.max_tokens
