"""From examples to arrays: chat template, tokens, padding."""

from collections.abc import Sequence

import numpy as np

from grpo_jax.config import ConfigError
from grpo_jax.parallel import processes
from grpo_jax.tasks import Example, Pair
from grpo_jax.types import Prompts
from grpo_jax.weights.tokenizer import Tokenizer

# Prompt lengths are rounded up to a multiple of this: few shapes, so few compilations.
_ROUND = 8


def prompt_batch(
  tokenizer: Tokenizer,
  examples: Sequence[Example],
  *,
  room: int,
  rows: int | None = None,
  width: int = 0,
) -> Prompts:
  """The examples' messages as left-padded prompts.

  Args:
    tokenizer: renders the chat template and encodes.
    examples: one a row.
    room: the longest prompt that leaves space for an answer in the model's context.
    rows: rows of the result; the last example is repeated to fill them.
    width: the least S.

  Raises:
    ConfigError: a prompt is longer than `room`. Nothing is cut: the question would be lost.
  """
  encoded = [tokenizer.encode_chat(example.messages) for example in examples]
  encoded += encoded[-1:] * ((rows or len(encoded)) - len(encoded))
  longest = max(range(len(encoded)), key=lambda row: len(encoded[row]))
  if len(encoded[longest]) > room:
    text = examples[longest].question
    raise ConfigError(
      f"a prompt has {len(encoded[longest])} tokens, and the model's context leaves {room} beside"
      f" the answer: lower max_tokens or shorten {text[:60]!r}"
    )
  S = max(min(-(-len(encoded[longest]) // _ROUND) * _ROUND, room), width)
  tokens = np.zeros((len(encoded), S), np.int32)
  mask = np.zeros((len(encoded), S), bool)
  for row, ids in enumerate(encoded):
    tokens[row, S - len(ids) :] = ids
    mask[row, S - len(ids) :] = True
  return Prompts(tokens, mask)  # type: ignore[arg-type]


def solution_batch(
  tokenizer: Tokenizer, examples: Sequence[Example], *, max_tokens: int
) -> tuple[np.ndarray, np.ndarray]:
  """The examples' solutions with a stop token: tokens i32[P,1,T] and mask bool[P,1,T].

  Raises:
    ConfigError: a solution is empty or longer than max_tokens.
  """
  return _answer_batch(tokenizer, [[example.solution] for example in examples], max_tokens)


def pair_batch(
  tokenizer: Tokenizer, pairs: Sequence[Pair], *, max_tokens: int, room: int
) -> tuple[Prompts, np.ndarray, np.ndarray]:
  """Prompts, and the chosen and rejected answers: tokens i32[P,2,T] and mask bool[P,2,T].

  Raises:
    ConfigError: an answer is empty or longer than max_tokens, or a prompt longer than `room`.
  """
  prompts = prompt_batch(tokenizer, [pair.example for pair in pairs], room=room)
  answers = [[pair.chosen, pair.rejected] for pair in pairs]
  return (prompts, *_answer_batch(tokenizer, answers, max_tokens))


def _answer_batch(
  tokenizer: Tokenizer, answers: Sequence[Sequence[str]], max_tokens: int
) -> tuple[np.ndarray, np.ndarray]:
  shape = (len(answers), len(answers[0]), max_tokens)
  tokens, mask = np.zeros(shape, np.int32), np.zeros(shape, bool)
  for row, group in enumerate(answers):
    for column, text in enumerate(group):
      ids = [*tokenizer.encode(text), tokenizer.stop_ids[0]]
      if not text or len(ids) > max_tokens:
        raise ConfigError(
          f"answers of 1 to {max_tokens - 1} tokens are needed (max_tokens less the stop token);"
          f" this has {len(ids) - 1}: {text[:60]!r}"
        )
      tokens[row, column, : len(ids)] = ids
      mask[row, column, : len(ids)] = True
  return tokens, mask


def own_texts(tokenizer: Tokenizer, tokens: np.ndarray, mask: np.ndarray) -> list[list[str]]:
  """As `answer_texts`, with empty texts for prompts that another process scores.

  Process 0, which writes them down, has all.
  """
  P, G, _ = tokens.shape
  rows = processes.own_rows(P) if processes.index() else slice(0, P)
  texts = [[""] * G for _ in range(P)]
  texts[rows] = answer_texts(tokenizer, tokens[rows], mask[rows])
  return texts


def answer_texts(tokenizer: Tokenizer, tokens: np.ndarray, mask: np.ndarray) -> list[list[str]]:
  """tokens i32[P,G,T] and mask bool[P,G,T] -> P lists of G texts; stop tokens are not shown."""
  return [
    [tokenizer.decode(ids[kept].tolist()) for ids, kept in zip(*group, strict=True)]
    for group in zip(tokens, mask, strict=True)
  ]
