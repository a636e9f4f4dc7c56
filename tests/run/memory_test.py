"""More than there is: foreseen by the plan, and explained where the device refuses."""

import contextlib
import os
import resource

import pytest

from grpo_jax import config
from grpo_jax.run import loop, memory
from grpo_jax.run.policy import load_policy
from grpo_jax.run.seal import broken
from tests.faults import tiny
from tests.run import stages_test


def _huge(group):
  found = stages_test.experiment({"rl": stages_test._grpo(steps=2)})
  found.stages["rl"].rollout.group_size = group
  return found


def _foreseen(found):
  said = []
  memory.foresee(found, load_policy(_huge(4)), said.append)
  return said


@pytest.mark.fault(22)
def test_the_plan_foresees_what_will_not_fit():
  assert _foreseen(_huge(4)) == []
  (line,) = _foreseen(_huge(10**8))
  assert line.startswith("warning: by the plan a device needs ")
  assert "lower stages.rl.rollout.group_size=100000000" in line


@contextlib.contextmanager
def _room(more):
  """Inside, this process may have so many bytes beside those that it has."""
  before = resource.getrlimit(resource.RLIMIT_AS)
  with open("/proc/self/statm", encoding="ascii") as file:
    pages = int(file.read().split()[0])
  resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, before[1]))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.fault(22)
def test_what_the_device_refuses_is_one_line_and_checkpoints_stay(tmp_path):
  """A KV cache of many gigabytes in the second stage, of a process that may have four."""
  found = tiny.get_config()
  found.stages["rl"].rollout.group_size = 10**7
  said = pytest.raises(RuntimeError, match=r"^out of memory: RESOURCE_EXHAUSTED: .*by the plan")
  with _room(4 << 30), said as error:
    loop.run(found, str(tmp_path), say=lambda _: None)
  line = str(error.value)
  assert "\n" not in line
  assert "GB in stage rl" in line
  assert "lower stages.rl.rollout.group_size=10000000 or .max_tokens=3" in line
  assert "raise stages.rl.optimizer.micro_batches=1" in line
  assert "model.logprob_chunk" in line
  assert sorted(os.listdir(tmp_path / "checkpoints"))[-1] == "3"
  assert broken(tmp_path / "checkpoints" / "3") is None


@pytest.mark.fault(22)
@pytest.mark.parametrize("error", [ValueError("RESOURCE_EXHAUSTED"), RuntimeError("a bug")])
def test_other_errors_are_left_as_they_are(error):
  found = _huge(4)
  with pytest.raises(type(error), match=str(error)), memory.explained(found, load_policy(found)):
    raise error


def test_what_cannot_be_planned_is_not_foreseen():
  found = _huge(4)
  found.task = config.Questions(train="nowhere.jsonl", held_out="nowhere.jsonl")
  assert _foreseen(found) == []
