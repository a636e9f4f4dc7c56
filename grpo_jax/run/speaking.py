"""One answer, told piece by piece as it is written."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax.config import ConfigError, is_on
from grpo_jax.parallel import ONE_DEVICE
from grpo_jax.run.policy import Policy
from grpo_jax.streaming import make_streaming
from grpo_jax.types import Prompts
from grpo_jax.weights.tokenizer import Tokenizer

# Tokens of one call of the compiled program: a person reads on while the next are written.
_CHUNK = 4
# Prompts are padded to powers of two from here on: few shapes, so few compilations.
_SHORTEST = 32
_HALF = "\N{REPLACEMENT CHARACTER}"
# How an answer ends.
STOP, LENGTH, CONTEXT, ASKED = "stop", "length", "context", "asked"


class FullError(ConfigError):
  """A conversation leaves no room for an answer."""


@dataclasses.dataclass(frozen=True)
class Spoken:
  """text: the whole answer. tokens: how many, the stop token too. end: one of those above.

  prompt: tokens of the prompt. seconds: of decoding, without compiling and without the prompt.
  """

  text: str
  tokens: int
  end: str
  prompt: int
  seconds: float

  @property
  def speed(self) -> float:
    """Tokens a second."""
    return self.tokens / self.seconds if self.seconds else 0.0


class Pieces:
  """The text of ids that come one after another: half a character is held until it is whole."""

  def __init__(self, tokenizer: Tokenizer):
    self._tokenizer, self._ids, self.text = tokenizer, list[int](), ""

  def add(self, ids: Sequence[int]) -> str:
    """What the ids add that can be told."""
    self._ids += ids
    # All of them anew: what a token says may depend on those before it.
    return self._told(self._tokenizer.decode(self._ids).rstrip(_HALF))

  def rest(self) -> str:
    """What was held, whole or not."""
    return self._told(self._tokenizer.decode(self._ids))

  def _told(self, text: str) -> str:
    piece = text[len(self.text) :]
    self.text += piece
    return piece


class Speaker:
  """A policy on one device, with the programs that answer prompts of each padded length.

  Args:
    policy: what answers.
    max_tokens: the longest answer, its stop token included.
    seed: of the draws.
    note: takes lines about what takes long.
    top_k, top_p, min_p: as in `sampling.filter_logits`.
  """

  def __init__(
    self,
    policy: Policy,
    *,
    max_tokens: int,
    seed: int = 0,
    note: Callable[[str], None] = lambda line: None,
    **filters: Any,
  ):
    self.tokenizer = policy.tokenizer
    self._network = ONE_DEVICE.network(policy.network)
    self._most, self._note, self._filters = max_tokens, note, filters
    self._key, self._answers = jax.random.key(seed), 0
    self._programs: dict[Any, Callable] = {}
    self._params = jax.tree.map(jnp.asarray, policy.params)
    self._laid_out = jax.jit(self._functions(greedy=False).lay_out)(self._params)

  @property
  def context(self) -> int:
    """The longest prompt and answer together."""
    return self._network.architecture.context_length

  def speak(
    self,
    prompt: Sequence[int],
    tell: Callable[[str], None],
    *,
    temperature: float,
    asked: Callable[[], bool] = lambda: False,
  ) -> Spoken:
    """Answers a prompt.

    Args:
      prompt: ids. tell: takes the answer piece by piece. temperature: 0 is greedy.
      asked: whether the answer is to end here; looked at between two pieces.

    Raises:
      FullError: the prompt leaves no room in the model's context.
    """
    room = self.context - len(prompt)
    if room < 1:
      raise FullError(
        f"the context is full: {len(prompt)} tokens, and the model has room for {self.context} with"
        " the answer"
      )
    most, greedy = min(self._most, room), not is_on(temperature)
    padded = self._padded(prompt)
    stream = self._program("begin", padded, greedy, self._params, padded)(self._params, padded)
    self._answers += 1
    given = (jax.random.fold_in(self._key, self._answers), jnp.float32(temperature))
    advance = self._program("advance", padded, greedy, self._laid_out, stream, *given)
    pieces, count, end = Pieces(self.tokenizer), 0, ""
    jax.block_until_ready(stream)
    started = time.monotonic()
    while not end:
      stream, drawn = advance(self._laid_out, stream, *given)
      ids, end = self._cut(np.asarray(drawn).tolist()[: most - count])
      count += len(ids)
      tell(pieces.add(ids[:-1] if end else ids))
      if not end and count == most:
        end = LENGTH if most == self._most else CONTEXT
      if not end and asked():
        end = ASKED
    seconds = time.monotonic() - started
    tell(pieces.rest())
    return Spoken(pieces.text, count, end, len(prompt), seconds)

  def _cut(self, ids: list[int]) -> tuple[list[int], str]:
    """The ids up to the first that stops, which is the last then, and the end if there is one."""
    for place, token in enumerate(ids):
      if token in self.tokenizer.stop_ids:
        return ids[: place + 1], STOP
    return ids, ""

  def _padded(self, prompt: Sequence[int]) -> Prompts:
    S = _SHORTEST
    while len(prompt) > S:
      S *= 2
    S = min(S, self.context)
    tokens, mask = np.zeros((1, S), np.int32), np.zeros((1, S), bool)
    tokens[0, S - len(prompt) :], mask[0, S - len(prompt) :] = prompt, True
    return Prompts(jnp.asarray(tokens), jnp.asarray(mask))

  def _functions(self, *, greedy: bool) -> Any:
    room = -(-self._most // _CHUNK) * _CHUNK
    return make_streaming(
      self._network, max_tokens=room, chunk=_CHUNK, greedy=greedy, **self._filters
    )

  def _program(self, name: str, padded: Prompts, greedy: bool, *args: Any) -> Callable:
    """The program for prompts of this length, compiled before it is timed."""
    S = padded.tokens.shape[1]
    key = (name, S, greedy and name == "advance")
    if key not in self._programs:
      if name == "begin":
        self._note(f"compiling for prompts of up to {S} tokens ...")
      function = getattr(self._functions(greedy=greedy), name)
      donated = (1,) if name == "advance" else ()
      compiled = jax.jit(function, donate_argnums=donated).lower(*args).compile()
      self._programs[key] = compiled
    return self._programs[key]
