"""Environments of one's own: in workers, played again from the beginning, whatever they do."""

import pytest

from grpo_jax.config import ConfigError, Scoring
from grpo_jax.isolated.pool import Workers
from grpo_jax.isolated.turns import Turn
from grpo_jax.run.environments import answered
from grpo_jax.tasks import Example
from grpo_jax.tasks.environment import file_environment

_GAME = """
import ctypes, os, time
class Counter:
  def reset(self, fields):
    self.left = fields["left"]
  def step(self, text):
    if text == "sleep":
      time.sleep(60)
    if text == "segfault":
      ctypes.string_at(0)
    if text == "raise":
      raise ValueError("no such move")
    if text == "number":
      return 1.0
    if text == "infinite":
      return "", float("inf"), False
    if text == "surrogate":
      return "\\ud800", 0.0, False
    self.left -= int(text)
    return f"{self.left} left", float(self.left == 0), self.left <= 0
class Half:
  def reset(self, fields): pass
"""


@pytest.fixture
def place(tmp_path):
  path = tmp_path / "game.py"
  path.write_text(_GAME)
  return f"{path}:Counter"


@pytest.fixture
def workers(tmp_path):
  own = Workers(Scoring(workers=1, timeout_s=2.0), str(tmp_path / "log"))
  yield own
  own.close()


def _none():
  pass


def _episodes(place, count, left=3):
  reset = file_environment(place)
  return [reset(Example([], {"left": left})) for _ in range(count)]


def test_an_episode_goes_on_where_it_was_in_whatever_process(place, workers):
  for own in (None, workers):
    episodes = _episodes(place, 2)
    assert answered(episodes, ["1", "3"], own, _none) == [
      ("played", Turn("2 left", 0.0, done=False)),
      ("played", Turn("0 left", 1.0, done=True)),
    ]
    if own:
      own.close()  # the process that played the first turn is gone
    assert answered(episodes[:1], ["2"], own, _none) == [("played", Turn("0 left", 1.0, done=True))]


def test_a_crash_or_a_late_answer_costs_one_episode(place, workers):
  texts = ["1", "segfault", "sleep", "raise", "number", "infinite", "surrogate", "2"]
  found = answered(_episodes(place, len(texts)), texts, workers, _none)
  kinds = ["played", "crash", "timeout", "error", *["invalid"] * 3, "played"]
  assert [kind for kind, _ in found] == kinds
  assert "no such move" in str(found[3][1])
  assert found[-1][1] == Turn("1 left", 0.0, done=False)


@pytest.mark.parametrize(
  ("name", "said"),
  [("Nothing", "has no such class"), ("Half", "has no step"), ("os", "has no such class")],
)
def test_a_class_that_is_not_there_is_one_line(place, name, said):
  with pytest.raises(ConfigError, match=said):
    file_environment(place.replace("Counter", name))


def test_a_file_that_is_not_there_is_one_line():
  with pytest.raises(ConfigError, match=r"there is no file nowhere\.py"):
    file_environment("nowhere.py:Game")


def test_what_is_raised_while_waiting_is_raised(place):
  def stop():
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    answered(_episodes(place, 1), ["1"], None, stop)
