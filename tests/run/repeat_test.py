"""The same config and seed give the same run twice, bit for bit; another seed another."""

import pytest

from grpo_jax.run import loop
from tests.faults import every
from tests.faults.soak import differences, outcome


def _outcome(workdir, stages, seed=0):
  experiment = every.get_config()
  experiment.seed = seed
  experiment.stages = {name: experiment.stages[name] for name in stages}
  for stage in experiment.stages.values():
    stage.steps = 2
  loop.run(experiment, str(workdir), say=lambda _: None)
  return outcome(str(workdir))


@pytest.mark.parametrize(
  "stages", [("sft", "judge", "learned"), pytest.param(("sft", "critic"), marks=pytest.mark.slow)]
)
def test_two_runs_of_one_config_are_equal_to_the_bit(stages, tmp_path):
  first, again = (_outcome(tmp_path / name, stages=stages) for name in ("first", "again"))
  assert differences(first, again) == "nowhere"
  assert first == again
  other = _outcome(tmp_path / "other", seed=1, stages=("sft",))
  assert differences(other, first).startswith("metrics 1: ")  # its first step
