"""Stages that learn from texts and chats, packed into rows of one length."""

import dataclasses

from grpo_jax.config.fields import field
from grpo_jax.config.files import Sides
from grpo_jax.config.stage import Stage


@dataclasses.dataclass(kw_only=True)
class Texts(Sides):
  """Texts or chats in files.

  column: what holds them. A text is a string, a chat a list of {"role": ..., "content": ...}, of
    which the last is the assistant's.
  """

  column: str = "text"

  def contradictions(self) -> list[str]:
    return super().contradictions() + ([] if self.column else ["column must name a column"])


@dataclasses.dataclass(kw_only=True)
class Pretrain(Stage):
  """Pretraining on plain texts: batch_size rows of `length` tokens an update, texts side by side.

  length: tokens of a row; a longer text is cut into several.
  texts: where they are read from; None is the task's own documents.
  held_out: texts that are judged at each evaluation, the first of them.
  """

  batch_size: int = field(32, least=1)
  length: int = field(256, least=2)
  texts: Texts | None = None
  held_out: int = field(100, least=1)

  @property
  def batch(self) -> tuple[int, str]:
    return self.batch_size, "batch_size"

  @property
  def longest(self) -> tuple[int, str]:
    return self.length - 1, "length - 1"  # a text's first token is its prompt


@dataclasses.dataclass(kw_only=True)
class ChatSFT(Pretrain):
  """Supervised fine-tuning on chats: only what the assistant says is learned.

  A chat longer than `length` is an error. texts must be given: the task's own solutions are learned
  by SFT.
  """

  def contradictions(self) -> list[str]:
    problems = super().contradictions()
    if self.texts is None:
      problems.append(
        "texts is None: name files of chats, as in texts=Texts(train='train.jsonl',"
        " held_out='held.jsonl', column='messages'); the task's own solutions are learned by SFT"
      )
    return problems
