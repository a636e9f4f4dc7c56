"""A conversation in a terminal."""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from grpo_jax.config import ConfigError
from grpo_jax.run.console import stripped
from grpo_jax.run.speaking import ASKED, CONTEXT, LENGTH, Speaker, Spoken
from grpo_jax.weights.tokenizer import Tokenizer

_HELP = """/reset            forgets the conversation
/retry            another answer to the last message
/temperature 0.3  of the answers from here on; 0 is greedy
/help             these lines
/quit             ends, as Ctrl-D does; Ctrl-C stops an answer"""
_ENDS = {
  LENGTH: "cut off by --max_tokens",
  CONTEXT: "the context is full: /reset begins anew",
  ASKED: "stopped",
}
_Message = dict[str, str]


class Conversation:
  """What was said, and what says the next.

  Args:
    speaker: answers. system: the system message; empty is none. temperature: of the answers.
    tell: takes the answers piece by piece. note: takes lines about them.
  """

  def __init__(
    self,
    speaker: Speaker,
    *,
    system: str,
    temperature: float,
    tell: Callable[[str], None],
    note: Callable[[str], None],
  ):
    self._speaker, self._system, self.temperature = speaker, system, temperature
    self._tell, self._note = tell, note
    self._said: list[_Message] = []
    self._keeps = has_template(speaker.tokenizer)

  def ask(self, text: str, asked: Callable[[], bool] = lambda: False) -> None:
    """Answers a message; one that cannot be answered is not kept.

    Raises:
      ConfigError: the tokenizer has no token for it, or the context is full.
    """
    if not self._keeps:
      self._said = []
    self._said.append({"role": "user", "content": text})
    try:
      self._answer(asked)
    except ConfigError:
      self._said.pop()
      raise

  def retry(self, asked: Callable[[], bool] = lambda: False) -> None:
    """Another answer to the last message.

    Raises:
      ConfigError: there is none.
    """
    if not self._said:
      raise ConfigError("nothing was said yet")
    if self._said[-1]["role"] == "assistant":
      self._said.pop()
    self._answer(asked)

  def reset(self) -> None:
    """Forgets all but the system message."""
    self._said = []

  def _answer(self, asked: Callable[[], bool]) -> None:
    system = [{"role": "system", "content": self._system}] if self._system else []
    ids = self._speaker.tokenizer.encode_chat([*system, *self._said])
    spoken = self._speaker.speak(
      ids, lambda piece: self._tell(stripped(piece)), temperature=self.temperature, asked=asked
    )
    self._said.append({"role": "assistant", "content": spoken.text})
    self._tell("\n")
    self._note(told(spoken))


def told(spoken: Spoken) -> str:
  """How long an answer took, and why it ended where it did not by itself."""
  parts = [f"{spoken.tokens} tokens, {spoken.speed:.1f} tokens/s, prompt {spoken.prompt} tokens"]
  return f"[{'; '.join([*parts, *([_ENDS[spoken.end]] if spoken.end in _ENDS else [])])}]"


def has_template(tokenizer: Tokenizer) -> bool:
  """Whether it puts anything around what is said: else there are no turns to be told apart."""
  chat = [{"role": "user", "content": "a"}]
  return tokenizer.encode_chat(chat) != [*tokenizer.first_ids, *tokenizer.encode("a")]


def converse(
  conversation: Conversation, read: Callable[[], str], say: Callable[[str], None]
) -> None:
  """Reads messages and commands until /quit or the end of the input; errors are lines.

  Args:
    conversation: what answers.
    read: gives the next line; raises EOFError at the end, KeyboardInterrupt at Ctrl-C.
    say: takes lines.
  """
  while True:
    try:
      line = _clean(read())
    except EOFError:
      return
    except KeyboardInterrupt:
      say("\n(/quit or Ctrl-D ends)")
      continue
    if line == "/quit":
      return
    if not line:
      continue
    try:
      with interruptible() as asked:
        _obey(conversation, line, asked, say)
    except ConfigError as error:
      say(str(error))


def _obey(
  conversation: Conversation, line: str, asked: Callable[[], bool], say: Callable[[str], None]
) -> None:
  command, _, argument = line.partition(" ")
  if not line.startswith("/"):
    conversation.ask(line, asked)
  elif command == "/temperature":
    conversation.temperature = _temperature(argument)
    say(f"temperature {conversation.temperature:g}")
  elif line == "/retry":
    conversation.retry(asked)
  elif line == "/reset":
    conversation.reset()
    say("forgotten")
  elif line == "/help":
    say(_HELP)
  else:
    say(f"{command} is no command:\n{_HELP}")


def _temperature(text: str) -> float:
  try:
    value = float(text)
  except ValueError:
    value = -1.0
  if not 0 <= value < float("inf"):
    raise ConfigError(f"/temperature {text}: must be a number from 0 on, as in /temperature 0.3")
  return value


def _clean(line: str) -> str:
  """Bytes that are no UTF-8 are marked: no tokenizer takes them."""
  return line.encode("utf-8", "replace").decode().strip()


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
  """Inside, Ctrl-C is noted, and asked for by what is yielded; a second one ends the program."""
  if threading.current_thread() is not threading.main_thread():
    yield lambda: False
    return
  found: list[int] = []
  before = signal.getsignal(signal.SIGINT)

  def note(number: int, _: FrameType | None) -> None:
    found.append(number)
    signal.signal(signal.SIGINT, before)

  signal.signal(signal.SIGINT, note)
  try:
    yield lambda: bool(found)
  finally:
    signal.signal(signal.SIGINT, before)


def make_read() -> Callable[[], str]:
  """Lines of the terminal, with its keys for editing where there are any."""
  with contextlib.suppress(ImportError):
    import readline  # noqa: F401, input() uses it
  prompt = "> " if sys.stdin.isatty() else ""
  return lambda: input(prompt)
