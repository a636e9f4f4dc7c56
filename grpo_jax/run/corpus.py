"""What a stage of texts reads: the rows of each step, and what it is judged by."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from grpo_jax.config import ChatSFT, ConfigError, Experiment, Pretrain, Texts
from grpo_jax.packing import Document, Packed, fill, first_fit
from grpo_jax.run.documents import row_documents
from grpo_jax.run.stage import Setting
from grpo_jax.tasks.rows import step_rows
from grpo_jax.tasks.sides import Divided, held_out_of
from grpo_jax.tasks.texts import read_chats, read_texts

# The task's held-out documents are the same in every run: of this seed, at a step that is none.
_HELD_OUT = (0, -1)
# Rows that are packed together, of documents that the task makes.
_AHEAD = 512


@dataclasses.dataclass(frozen=True)
class Corpus:
  """What a stage reads. batch: step, counted from where its data begin -> the rows.

  held_out: what it is judged by.
  """

  batch: Callable[[int], Packed]
  held_out: list[Document]


def make_corpus(setting: Setting, stage: Pretrain) -> Corpus:
  """The documents of the stage's files, or of the task's where it names none.

  Raises:
    ConfigError: one line on what cannot be used: the file and row, or the field.
  """
  if stage.texts is None:
    return _from_task(setting, stage, f"config.stages.{setting.name}")
  sides = _read(stage, stage.texts, f"config.stages.{setting.name}")

  def encoded(rows: Sequence) -> list[Document]:
    return [part for row in rows for part in row_documents(setting.tokenizer, stage, *row)]

  return Corpus(_dealt(setting, stage, encoded(sides.train)), encoded(sides.held_out))


def check_texts(experiment: Experiment) -> list[str]:
  """Refuses files of texts and chats that cannot be read, of every stage; lines on rows left out.

  Raises:
    ConfigError: one line with file and row number, or the field.
  """
  return [
    f"{name}: {line}"
    for name, stage in experiment.stages.items()
    if isinstance(stage, Pretrain) and stage.texts is not None
    for line in _read(stage, stage.texts, f"config.stages.{name}").notes
  ]


def _read(stage: Pretrain, texts: Texts, path: str) -> Divided:
  """Training rows and the held-out rows that are judged."""
  sides: Divided = read_chats(texts) if isinstance(stage, ChatSFT) else read_texts(texts)
  if (count := len(sides.held_out)) < stage.held_out:
    raise ConfigError(
      f"{path}.held_out={stage.held_out}, but {held_out_of(texts)} has {count} rows"
    )
  return dataclasses.replace(sides, held_out=sides.held_out[: stage.held_out])


def _dealt(setting: Setting, stage: Pretrain, documents: list[Document]) -> Callable:
  """Rows are packed once, and dealt out in another order each epoch.

  Who stands in a row with whom does not matter, for none sees the other.
  """
  seed = setting.experiment.seed
  order = np.random.default_rng([seed, 0, 1]).permutation(len(documents))
  mixed = [documents[index] for index in order]
  rows = first_fit([len(document.tokens) for document in mixed], stage.length)

  def batch(step: int) -> Packed:
    chosen = step_rows(len(rows), seed, step, stage.batch_size)
    return fill(mixed, [rows[row] for row in chosen], stage.length)

  return batch


def no_documents(path: str) -> str:
  """The line about a stage of texts that has none."""
  return (
    f"{path}.texts is None, and the task has no documents of its own: name files, as in"
    " texts=Texts(train='train.jsonl', held_out='held.jsonl')"
  )


def _from_task(setting: Setting, stage: Pretrain, path: str) -> Corpus:
  """Documents that the task makes, for many steps at a time: few rows would be packed badly.

  Nor would they be fair: of few documents, the long ones would be left out more often.
  """
  seed, make = setting.experiment.seed, setting.task.documents
  if make is None:
    raise ConfigError(no_documents(path))

  def made(seed: int, step: int, count: int) -> list[Document]:
    texts = make(seed, step, count)
    return [d for text in texts for d in row_documents(setting.tokenizer, stage, path, text)]

  held = made(*_HELD_OUT, stage.held_out)
  mean = sum(len(document.tokens) for document in held) / stage.held_out

  steps = max(_AHEAD // stage.batch_size, 1)
  wanted = steps * stage.batch_size

  @functools.lru_cache(maxsize=1)
  def window(number: int) -> tuple[list[Document], list[list[int]]]:
    """The documents of `steps` steps, and their rows."""
    count = int(wanted * stage.length / mean)
    rows: list[list[int]] = []
    while len(rows) < wanted:
      count += count // 32 + 1
      documents = made(seed, number, count)
      rows = first_fit([len(document.tokens) for document in documents], stage.length)
    # Rows too many are left out by lot: the last have more of what did not fit elsewhere.
    chosen = np.random.default_rng([seed, number]).permutation(len(rows))[:wanted]
    return documents, [rows[row] for row in chosen]

  def batch(step: int) -> Packed:
    number, place = divmod(step, steps)
    documents, rows = window(number)
    start = place * stage.batch_size
    return fill(documents, rows[start : start + stage.batch_size], stage.length)

  return Corpus(batch, held)
