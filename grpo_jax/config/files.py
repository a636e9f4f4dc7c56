"""Tasks whose questions stand in files of one's own."""

import dataclasses

from grpo_jax.config.fields import Config, field, lacking

ON_BAD_ROW = ("fail", "skip")
_SHARE = 0.05


@dataclasses.dataclass(kw_only=True)
class Rewarded(Config):
  """A task with a reward of its own. reward: its name; the reward called "task" stands for it."""

  reward: str = "number"

  @property
  def own_rewards(self) -> tuple[str, ...]:
    """The rewards that "task" stands for."""
    return (self.reward,)


@dataclasses.dataclass(kw_only=True)
class Sides(Config):
  """JSONL files, or Parquet where a name ends in .parquet: what is trained on and what is held out.

  train, held_out: the files. Without held_out a `held_out_share` of the rows of train is held out,
    in (0, 1), chosen by the hash of what is asked or told: equal ones are on one side alone.
  on_bad_row: "fail", a row that cannot be used ends the run with its file and line; "skip", it is
    left out, and counted.
  """

  train: str = ""
  held_out: str = ""
  held_out_share: float = field(_SHARE, above=0, below=1)
  on_bad_row: str = field("fail", choices=ON_BAD_ROW)

  def contradictions(self) -> list[str]:
    problems = [] if self.train else ["train must name a JSONL or Parquet file"]
    if self.held_out and self.held_out_share != _SHARE:
      problems.append(
        f"held_out_share={self.held_out_share} is of train alone, and held_out names a file"
      )
    return problems


@dataclasses.dataclass(kw_only=True)
class Files(Rewarded, Sides):
  """Questions in files, whose rows are read as they are asked for.

  question: the column that is asked.
  system: the system message; empty is none.
  """

  question: str = "question"
  system: str = ""


@dataclasses.dataclass(kw_only=True)
class Questions(Files):
  """Questions and answers, as GSM8K has them.

  answer: the column of the answers. answer_marker: the answer proper follows its last occurrence
    ("####" in GSM8K); empty takes the whole column.
  """

  answer: str = "answer"
  answer_marker: str = "####"


@dataclasses.dataclass(kw_only=True)
class Choices(Files):
  """Multiple choice: a question and a list of options, told with letters, in an order of each step.

  choices: the column of the options, a list of two to 26 texts.
  answer: the column of the right one: its place from 0, its letter, or its text.
  form: the user's message, with {question} and {options}.
  """

  choices: str = "choices"
  answer: str = "answer"
  form: str = "{question}\n{options}\nAnswer with the letter."
  reward: str = "choice"

  def contradictions(self) -> list[str]:
    return super().contradictions() + lacking("form", self.form, "{question}", "{options}")


@dataclasses.dataclass(kw_only=True)
class Programs(Files):
  """Problems that are solved by a program, which is judged by tests.

  tests: the column of the tests, as the reward "unit_tests" reads them. solution: the column of a
    program to learn from; empty is none.
  form: the user's message, with {question}.
  """

  tests: str = "tests"
  solution: str = ""
  form: str = "{question}"
  reward: str = "unit_tests"

  def contradictions(self) -> list[str]:
    return super().contradictions() + lacking("form", self.form, "{question}")
