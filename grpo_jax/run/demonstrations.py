"""What supervised fine-tuning learns from: the task's solutions, or whole episodes."""

from collections.abc import Callable, Sequence

import numpy as np

from grpo_jax.config import ConfigError
from grpo_jax.isolated.turns import Turn
from grpo_jax.run.batches import solution_batch
from grpo_jax.run.between import make_between
from grpo_jax.run.environments import answered
from grpo_jax.run.stage import Setting
from grpo_jax.tasks import Example

# examples -> tokens i32[P,1,T] and mask bool[P,1,T]
Demonstrate = Callable[[Sequence[Example]], tuple[np.ndarray, np.ndarray]]


def make_demonstrate(setting: Setting, max_tokens: int) -> Demonstrate:
  """Builds examples -> tokens i32[P,1,T] and mask bool[P,1,T], true on what is learned.

  Where the task is an environment, it plays the episodes to be learned from: what it says stands
  between the model's turns, and carries no loss.

  Raises, when it is called:
    ConfigError: a solution or an episode is empty, or longer than max_tokens; an environment fails,
      or is done before the episode is.
  """
  if setting.task.reset is None:
    return lambda examples: solution_batch(setting.tokenizer, examples, max_tokens=max_tokens)
  play = _make_play(setting)

  def demonstrate(examples: Sequence[Example]) -> tuple[np.ndarray, np.ndarray]:
    tokens = np.zeros((len(examples), 1, max_tokens), np.int32)
    mask = np.zeros(tokens.shape, bool)
    for row, (ids, own) in enumerate(play(examples)):
      if len(ids) > max_tokens:
        raise ConfigError(
          f"an episode to learn from has {len(ids)} tokens, more than max_tokens={max_tokens}:"
          f" {list(_texts(examples[row]))!r:.80}"
        )
      tokens[row, 0, : len(ids)], mask[row, 0, : len(ids)] = ids, own
    return tokens, mask

  return demonstrate


def _make_play(
  setting: Setting,
) -> Callable[[Sequence[Example]], list[tuple[list[int], list[bool]]]]:
  """Builds examples -> the ids of each episode, and which of them are the model's."""
  reset, between = setting.task.reset, make_between(setting.tokenizer)
  assert reset is not None

  def play(examples: Sequence[Example]) -> list[tuple[list[int], list[bool]]]:
    episodes, said = [reset(example) for example in examples], [_texts(e) for e in examples]
    found: list[tuple[list[int], list[bool]]] = [([], []) for _ in examples]
    for turn in range(max(map(len, said))):
      for (ids, own), texts in zip(found, said, strict=True):
        if turn < len(texts):
          written = [*setting.tokenizer.encode(texts[turn]), setting.tokenizer.stop_ids[0]]
          ids += written
          own += [True] * len(written)
      more = [row for row, texts in enumerate(said) if turn + 1 < len(texts)]
      asked = [episodes[row] for row in more], [said[row][turn] for row in more]
      heard = answered(*asked, setting.workers, lambda: setting.pause("turn"))
      for row, (kind, turned) in zip(more, heard, strict=True):
        if not isinstance(turned, Turn) or turned.done:
          raise ConfigError(
            f"an episode to learn from cannot be played ({kind}): its environment"
            f" {'is done' if isinstance(turned, Turn) else 'fails'} after turn {turn + 1} of"
            f" {list(said[row])!r:.80}"
          )
        seen, _ = between(turned.observation)
        found[row][0].extend(seen)
        found[row][1].extend([False] * len(seen))
    return found

  return play


def _texts(example: Example) -> tuple[str, ...]:
  """The turns to learn from."""
  texts = example.turns or (example.solution,)
  if not all(texts):
    raise ConfigError(f"an episode to learn from has an empty turn: {list(texts)!r:.80}")
  return texts
