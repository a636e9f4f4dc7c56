"""A pseudo terminal with a program in it, and what a person would see there."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

import pyte


class Terminal:
  """A program in a terminal of its own."""

  def __init__(self, command, columns=80, lines=24, **environment):
    self.screen = pyte.HistoryScreen(columns, lines, history=5000, ratio=0.5)
    self.written = b""
    self._stream = pyte.ByteStream(self.screen)
    self._master, slave = pty.openpty()
    self.resize(columns, lines)
    self.before = termios.tcgetattr(self._master)
    env = {**os.environ, "TERM": "xterm-256color", **environment}
    env.pop("NO_COLOR", None)
    self.process = subprocess.Popen(
      command,
      stdin=slave,
      stdout=slave,
      stderr=slave,
      env=env,
      start_new_session=True,
      preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)

  def resize(self, columns, lines):
    self.screen.resize(lines, columns)
    fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

  def type(self, keys: bytes):
    os.write(self._master, keys)

  def read(self, seconds=0.1):
    """Takes what was written within so many seconds; False at its end."""
    if not select.select([self._master], [], [], seconds)[0]:
      return True
    try:
      found = os.read(self._master, 1 << 16)
    except OSError:  # how Linux ends a terminal
      return False
    self.written += found
    self._stream.feed(found)
    return bool(found)

  def until(self, met, seconds=120):
    """Reads until the screen is so."""
    end = time.monotonic() + seconds
    while not met(self.shown()):
      assert self.read(), self.all()
      assert time.monotonic() < end, self.all()

  def wait(self, seconds=120):
    """Reads to the end of the program; its exit code."""
    end = time.monotonic() + seconds
    while self.read():
      assert time.monotonic() < end, self.all()
    os.close(self._master)
    return self.process.wait()

  def shown(self):
    """The screen as it stands."""
    return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

  def all(self):
    """The screen, and what has scrolled away above."""
    width = self.screen.columns
    past = [
      "".join(line[x].data for x in range(width)).rstrip() for line in self.screen.history.top
    ]
    return "\n".join(past) + "\n" + self.shown()

  def is_sane(self):
    """Whether the terminal is as it was: cursor, line breaks, and what the keys do."""
    modes = self.written.decode(errors="replace")
    for switch, on in (("?25", "h"), ("?7", "h"), ("?2026", "l")):
      last = max((modes.rfind(f"\x1b[{switch}{end}"), end) for end in "hl")
      if last[0] >= 0 and last[1] != on:
        return False
    return "\x1b[?1049h" not in modes
