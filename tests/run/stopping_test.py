"""A run that is asked to stop: where, how, and that it goes on as if it had not been."""

import os
import signal
import threading

import pytest

from grpo_jax import config
from grpo_jax.config import ConfigError
from grpo_jax.run import loop, stopping
from grpo_jax.run.drill import Drill, parse, with_drill
from grpo_jax.run.population import run_population
from grpo_jax.run.stopping import StopError, watching
from tests.run import stages_test


def _checkpoints(workdir):
  return sorted(int(name) for name in os.listdir(workdir / "checkpoints") if name.isdigit())


@pytest.fixture
def interruptible():
  """As in a terminal: what runs in the background may have been told to ignore the key."""
  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  yield
  signal.signal(signal.SIGINT, before)


@pytest.mark.fault(1)
def test_a_first_signal_is_noted_and_a_second_does_what_it_did_before(interruptible, capfd):
  with watching() as asked:
    assert asked() == 0
    os.kill(os.getpid(), signal.SIGTERM)
    assert asked() == signal.SIGTERM
    assert "SIGTERM: what is in work ends and is saved" in capfd.readouterr().err
    with pytest.raises(KeyboardInterrupt):
      signal.raise_signal(signal.SIGINT)
    assert asked() == signal.SIGTERM
  assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.fault(1)
def test_a_signal_is_noted_where_nothing_can_be_said(interruptible):
  """Standard error is a file on a full disk."""
  before, full = os.dup(2), os.open("/dev/full", os.O_WRONLY)
  try:
    os.dup2(full, 2)
    with watching() as asked:
      signal.raise_signal(signal.SIGTERM)
      assert asked() == signal.SIGTERM
  finally:
    os.dup2(before, 2)
    os.close(before)
    os.close(full)


def test_a_signal_that_is_ignored_stays_so(interruptible):
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  with watching() as asked:
    signal.raise_signal(signal.SIGINT)
    assert asked() == 0


def test_outside_the_main_thread_nothing_is_noted():
  found = []

  def other():
    with watching() as asked:
      found.append(asked)

  thread = threading.Thread(target=other)
  thread.start()
  thread.join()
  assert found == [stopping.never]


def _run(workdir, fault="", **parallel):
  whole = stages_test.experiment({"sft": stages_test._sft(), "rl": stages_test._grpo()}, every=2)
  whole.parallel = config.Parallel(**parallel)
  loop.run(whole, str(workdir), say=lambda _: None, fault=fault)


def _figures(workdir):
  """Of all steps and evaluations, but for what depends on the clock or the machine."""
  return [
    {name: value for name, value in line.items() if not name.startswith(("time/", "memory/"))}
    for line in stages_test.lines(workdir)
  ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("whole")
  _run(workdir)
  return _figures(workdir), _checkpoints(workdir)


@pytest.mark.fault(1)
@pytest.mark.parametrize(
  ("fault", "saved"),
  [
    # Stages of three steps, evaluated after two and three; 1 is the evaluation before all.
    # An evaluation is finished: what it finds belongs to the checkpoint of its step.
    pytest.param("sigterm:evaluation@1", 1, marks=pytest.mark.slow),
    pytest.param("sigterm:evaluation@2", 2, marks=pytest.mark.slow),
    pytest.param("sigterm:save@2", 3, marks=pytest.mark.slow),
    pytest.param("sigint:rollout@1", 3, marks=pytest.mark.slow),
    pytest.param("sigterm:rollout@2", 4, marks=pytest.mark.slow),
    ("sigterm:reward@3", 5),
    pytest.param("sigterm:update@3", 5, marks=pytest.mark.slow),
    pytest.param("sigterm:evaluation@5", 6, marks=pytest.mark.slow),
  ],
)
def test_what_is_given_up_is_done_again(interruptible, tmp_path, whole, fault, saved):
  """State and figures up to the step before are there, and the run ends as if nothing had been."""
  with pytest.raises(StopError, match="stopped by SIG"):
    _run(tmp_path, fault)
  assert _checkpoints(tmp_path)[-1] == saved
  assert len(stages_test.places(tmp_path)) == saved
  _run(tmp_path)
  assert (_figures(tmp_path), _checkpoints(tmp_path)) == whole


@pytest.mark.fault(1)
@pytest.mark.slow
@pytest.mark.parametrize(
  "parallel", [{"mode": "pmap"}, {"mode": "mesh", "fsdp": 2, "tensor": 2}], ids=str
)
@pytest.mark.parametrize("fault", ["sigterm:evaluation@2", "sigterm:reward@3", "sigterm:update@3"])
def test_several_devices_are_stopped_and_go_on(interruptible, tmp_path, fault, parallel):
  _run(tmp_path / "whole", **parallel)
  with pytest.raises(StopError, match="stopped by SIGTERM"):
    _run(tmp_path / "left", fault, **parallel)
  _run(tmp_path / "left", **parallel)
  assert _figures(tmp_path / "left") == _figures(tmp_path / "whole")


@pytest.mark.fault(1)
@pytest.mark.slow
def test_the_members_of_a_population_stop_together_and_go_on(interruptible, tmp_path):
  whole = _populated(tmp_path / "whole", lambda _: None)

  def say(line):
    if line.startswith("rl 2/"):
      os.kill(os.getpid(), signal.SIGTERM)

  with pytest.raises(StopError, match="stopped by SIGTERM"):
    _populated(tmp_path / "left", say)
  assert _checkpoints(tmp_path / "left" / "member-001")[-1] in (2, 3, 4)
  assert _populated(tmp_path / "left", lambda _: None) == whole


def _populated(workdir, say):
  """The figures of two members."""
  own = stages_test.experiment({"rl": stages_test._grpo(steps=5)})
  own.population = config.Population(size=2, devices=1)
  run_population(own, str(workdir), say=say)
  return [_figures(workdir / f"member-00{number}") for number in (0, 1)]


def test_a_drill_is_read_or_refused_in_a_line():
  assert parse("sigkill:reward@3") == Drill("sigkill", "reward", 3, 0.0)
  assert parse("sigterm:save@1+0.5").delay == 0.5
  for fault in (
    "sigkill",
    "sigstop:reward@3",
    "sigterm:nowhere@1",
    "sigterm:save@0",
    "nan:save@1",
    "a:b@1",
  ):
    with pytest.raises(ConfigError, match="expected SIGNAL:PLACE@N"):
      parse(fault)


def test_without_a_drill_a_pause_is_as_it_was():
  assert with_drill("", stopping.no_pause) is stopping.no_pause
