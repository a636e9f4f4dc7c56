"""A conversation: what is kept, what is obeyed, and a real terminal."""

import codecs
import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from grpo_jax import weights
from grpo_jax.config import ConfigError
from grpo_jax.run import generate, loop
from grpo_jax.run.policy import load_policy
from grpo_jax.run.speaking import STOP, Speaker, Spoken
from grpo_jax.run.terminal import Conversation, converse, has_template, interruptible
from grpo_jax.weights.tokenizer import CharacterTokenizer
from tests.run import small

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class _Echo:
  """Says what it was asked, under a template of brackets."""

  first_ids = ()

  def __init__(self, answer="yes"):
    self.tokenizer, self.answer, self.asked = self, answer, []

  def encode(self, text):
    return list(text)

  def encode_chat(self, messages):
    return [f"<{message['role'][0]}:{message['content']}>" for message in messages]

  def speak(self, ids, tell, *, temperature, asked):
    self.asked.append(("".join(ids), temperature))
    tell(self.answer)
    return Spoken(self.answer, 1, STOP, len(ids), 1.0)


def _talk(*lines, system="", speaker=None):
  speaker = speaker or _Echo()
  told, said = [], []
  talk = Conversation(speaker, system=system, temperature=0.7, tell=told.append, note=said.append)
  left = iter(lines)

  def read():
    line = next(left, None)
    if line is None:
      raise EOFError
    if line is KeyboardInterrupt:
      raise KeyboardInterrupt
    return line

  converse(talk, read, said.append)
  return speaker.asked, "".join(told), said


def test_what_was_said_is_kept():
  asked, told, said = _talk("a", "b", "", "/quit", "c", system="s")
  assert asked == [("<s:s><u:a>", 0.7), ("<s:s><u:a><a:yes><u:b>", 0.7)]
  assert told == "yes\nyes\n"
  assert said[0] == "[1 tokens, 1.0 tokens/s, prompt 2 tokens]"


def test_commands():
  asked, _, said = _talk(
    "a", "/retry", "/temperature 0.25", "b", "/reset", "c", "/retry", "/rset", "/help"
  )
  assert asked == [
    ("<u:a>", 0.7),
    ("<u:a>", 0.7),
    ("<u:a><a:yes><u:b>", 0.25),
    ("<u:c>", 0.25),
    ("<u:c>", 0.25),
  ]
  assert "/rset is no command:\n/reset" in said[-2]
  assert said[-1].startswith("/reset")
  assert "temperature 0.25" in said


@pytest.mark.parametrize("line", ["/temperature", "/temperature -1", "/temperature nan", "/retry"])
def test_a_command_that_cannot_be_obeyed_is_a_line(line):
  asked, _, said = _talk(line)
  assert not asked
  assert len(said) == 1


def test_ctrl_c_at_the_prompt_and_bytes_that_are_no_text():
  asked, _, said = _talk(KeyboardInterrupt, "a\udcff")
  assert "/quit or Ctrl-D ends" in said[0]
  assert asked == [("<u:a?>", 0.7)]


def test_control_codes_do_not_reach_the_terminal():
  _, told, _ = _talk("a", speaker=_Echo("\x1b[31mred\x07\x1b]0;title\x07\r\u202e\ttab\nline\x9b2J"))
  assert told == "red]0;title tab\nline2J\n"


def test_a_model_without_a_template_is_asked_each_message_by_itself():
  assert not has_template(CharacterTokenizer())
  speaker, asked = Speaker(load_policy(small.experiment()), max_tokens=2), []
  talk = Conversation(
    speaker, system="", temperature=0.0, tell=lambda piece: None, note=asked.append
  )
  talk.ask("1+2=")
  talk.ask("3+4=")
  assert all("prompt 4 tokens" in line for line in asked)


def test_what_cannot_be_answered_is_not_kept():
  speaker = Speaker(load_policy(small.experiment()), max_tokens=2)
  talk = Conversation(
    speaker, system="", temperature=0.0, tell=lambda piece: None, note=lambda line: None
  )
  with pytest.raises(ConfigError, match="no token for 'é'"):
    talk.ask("é")
  with pytest.raises(ConfigError, match="nothing was said yet"):
    talk.retry()
  with pytest.raises(ConfigError, match="the context is full"):
    talk.ask("1" * 100)


def test_smollm2_has_a_template(smollm2_path):
  assert has_template(weights.outline(smollm2_path)[1])


def test_one_ctrl_c_is_noted_and_a_second_one_is_not_held():
  before = signal.getsignal(signal.SIGINT)
  with interruptible() as asked:
    assert not asked()
    signal.raise_signal(signal.SIGINT)
    assert asked()
    with pytest.raises(KeyboardInterrupt):
      signal.raise_signal(signal.SIGINT)
  assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
  ("asked", "said"),
  [
    ({"prompt": " "}, "--prompt is empty"),
    ({"temperature": -1.0}, "answers.temperature=-1.0: must be >= 0"),
    ({"top_p": 0.0}, "answers.top_p=0.0: must be > 0"),
    ({"checkpoint": "5"}, "--checkpoint=5 is of a run"),
  ],
)
def test_what_cannot_be_asked_is_one_line(asked, said):
  own = {"checkpoint": "start"} | asked
  quiet = {"say": lambda line: None, "warn": lambda line: None}
  with pytest.raises(ConfigError) as error:
    generate.generate(small.experiment(), None, **own, **quiet)
  assert said in str(error.value)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
  folder = tmp_path_factory.mktemp("run")
  loop.run(small.experiment(evaluation={"every": 0}), str(folder), say=lambda line: None)
  return str(folder)


# Makes standard input the terminal that signals come from, and goes on as the command.
_IN_TERMINAL = """
import fcntl, runpy, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
sys.argv[0] = "generate"
runpy.run_module("experiments.generate", run_name="__main__")
"""


class _Terminal:
  """A program in a terminal of its own."""

  def __init__(self, *arguments):
    self.master, slave = pty.openpty()
    command = [sys.executable, "-c", _IN_TERMINAL, *arguments]
    self.process = subprocess.Popen(
      command, cwd=_ROOT, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
      env=os.environ | {"TERM": "dumb", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    os.close(slave)
    self.seen, self._decoder = "", codecs.getincrementaldecoder("utf-8")()

  def until(self, pattern, seconds=120):
    """What is shown up to the pattern, which has not been returned yet."""
    end = time.monotonic() + seconds
    while not (found := re.search(pattern, self.seen)):
      assert time.monotonic() < end, self.seen
      if select.select([self.master], [], [], 0.2)[0]:
        try:
          self.seen += self._decoder.decode(os.read(self.master, 65536))
        except OSError:  # the program has ended
          assert re.search(pattern, self.seen), self.seen
    shown, self.seen = self.seen[: found.end()], self.seen[found.end() :]
    return shown

  def type(self, text):
    os.write(self.master, text.encode())


def test_in_a_real_terminal(workdir):
  terminal = _Terminal(f"--workdir={workdir}", "--max_tokens=8", "--temperature=0")
  try:
    shown = terminal.until("> ")
    assert "checkpoint 8" in shown
    assert "no chat template" in shown
    terminal.type("é\n")
    assert "no token for 'é'" in terminal.until(r"no token.*\n(.*\n)?> ")
    terminal.type("\x03")
    terminal.until(r"Ctrl-D ends\)\r\n> ")
    terminal.type("/temperature 1.5\n")
    terminal.until(r"temperature 1.5\r\n> ")
    terminal.type("1+2=\n")
    assert "prompt 4 tokens" in terminal.until(r"tokens/s.*\]\r\n> ")
    terminal.type("/retry\n")
    terminal.until(r"tokens/s.*\]\r\n> ")
    terminal.type("\x04")
    terminal.process.wait(30)
    assert terminal.process.returncode == 0
  finally:
    terminal.process.kill()
    os.close(terminal.master)


def test_ctrl_c_stops_the_answer_and_not_the_program(tmp_path):
  """A model at random says one thing for ever, greedily."""
  config = tmp_path / "endless.py"
  config.write_text(
    "from tests.run import small\n"
    "def get_config():\n"
    "  own = small.experiment()\n"
    "  own.model.architecture.context_length = 30_000\n"
    "  return own\n"
  )
  terminal = _Terminal(f"--config={config}", "--max_tokens=24000", "--top_k=1")
  try:
    terminal.until("> ")
    terminal.type("1+2=\n")
    terminal.until(r"\S{40}")  # well under way
    terminal.type("\x03")
    assert "; stopped]" in terminal.until(r"tokens/s.*\]\r\n> ")
    terminal.type("/quit\n")
    terminal.process.wait(30)
    assert terminal.process.returncode == 0
  finally:
    terminal.process.kill()
    with contextlib.suppress(OSError):
      os.close(terminal.master)


def test_one_answer_and_nothing_else(workdir):
  command = [sys.executable, "-m", "experiments.generate", f"--workdir={workdir}"]
  flags = ("--prompt=-", "--temperature=0", "--max_tokens=3")
  done = subprocess.run(
    [*command, *flags], cwd=_ROOT, capture_output=True, text=True, input="1+2=\n"
  )
  assert done.returncode == 0, done.stderr
  assert len(done.stdout) <= 4
  assert "prompt 4 tokens" in done.stderr
