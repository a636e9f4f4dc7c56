"""Saves that fail behind a run's back: files that may not grow, as on a disk that is full."""

import contextlib
import os
import resource
import time
from unittest import mock

import pytest

from grpo_jax.run import loop
from grpo_jax.run.checkpoint import Checkpointer
from grpo_jax.run.seal import broken
from grpo_jax.run.tolerance import Tolerance
from tests.faults import tiny

# The _METADATA of every checkpoint of the tiny experiment is over this, metrics.jsonl is under it.
_LIMIT = 9_000


@contextlib.contextmanager
def failing(numbers):
  """Inside, the saves of these checkpoints are begun, and then fail in their own threads."""
  save = Checkpointer.save
  _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

  def limited(self, number, *args):
    while self._manager.is_saving_in_progress():  # with the limit that it began with
      time.sleep(0.01)
    soft = _LIMIT if number in numbers else hard
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    save(self, number, *args)

  try:
    with mock.patch.object(Checkpointer, "save", limited):
      yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def _run(workdir, numbers=(), tolerated=0):
  said = []
  with failing(numbers):
    loop.run(tiny.get_config(), str(workdir), say=said.append, tolerate_save_failures=tolerated)
  return [line for line in said if line.startswith("warning: checkpoint")]


def _numbers(workdir):
  """Of the checkpoints, all of which are whole."""
  found = sorted(int(n) for n in os.listdir(workdir / "checkpoints") if n.isdigit())
  assert [broken(workdir / "checkpoints" / str(n)) for n in found] == [None] * len(found)
  return found


@pytest.mark.fault(9)
@pytest.mark.parametrize(("failed", "newest"), [(5, 4), pytest.param(7, 6, marks=pytest.mark.slow)])
def test_a_failure_in_the_background_ends_the_run(tmp_path, failed, newest):
  """At the next save, or as the run ends."""
  with pytest.raises(RuntimeError, match=rf"^checkpoint {failed} could not be written .* File too"):
    _run(tmp_path, [failed])
  assert _numbers(tmp_path)[-1] == newest
  assert _run(tmp_path) == []
  assert _numbers(tmp_path)[-1] == 7


@pytest.mark.fault(3)
def test_as_many_failures_as_are_tolerated_are_told_and_no_more(tmp_path):
  first, second = _run(tmp_path / "a", [4, 5], tolerated=2)
  assert "checkpoint 4 could not be written" in first
  assert first.endswith("going on, as --tolerate_save_failures lets it (1 of 2 in a row)")
  assert "checkpoint 5 could not be written" in second
  assert _numbers(tmp_path / "a")[-2:] == [6, 7]
  with pytest.raises(RuntimeError, match=r"^checkpoint 6 could not be written"):
    _run(tmp_path / "b", [4, 5, 6], tolerated=2)
  assert _numbers(tmp_path / "b")[-1] == 3


@pytest.mark.fault(3, 9)
def test_a_run_whose_last_save_failed_does_not_end_well(tmp_path):
  with pytest.raises(RuntimeError, match=r"^checkpoint 7 could not be written"):
    _run(tmp_path, [6, 7], tolerated=9)
  assert _numbers(tmp_path)[-1] == 5


def test_failures_in_a_row_are_counted_and_told_once():
  said = []
  tolerance = Tolerance(1, said.append)

  def fail(why):
    with tolerance.failing():
      raise RuntimeError(why)

  fail("first")
  tolerance.succeeded()
  fail("second")
  with pytest.raises(RuntimeError, match="third"):
    fail("third")
  assert len(said) == 2
  tolerance.end()  # the third was raised already
  fail("fourth")
  with pytest.raises(RuntimeError, match="fourth"):
    tolerance.end()


@pytest.mark.slow
@pytest.mark.fault(9)
def test_the_command_never_ends_with_code_0(tmp_path):
  done = tiny.run(
    tmp_path,
    before="from tests.run.saving_test import failing\nheld = failing([7])\nheld.__enter__()",
  )
  assert done.returncode == 2, done.stderr
  (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
  assert line.startswith("error: checkpoint 7 could not be written")
  assert "learning curve" not in done.stdout
