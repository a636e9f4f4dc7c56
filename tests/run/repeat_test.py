"""The same config and seed give the same run twice, bit for bit; another seed another."""

from grpo_jax.run import loop
from tests.faults import every
from tests.faults.soak import differences, outcome


def _outcome(workdir, seed=0, stages=("sft", "judge", "learned", "critic")):
  experiment = every.get_config()
  experiment.seed = seed
  experiment.stages = {name: experiment.stages[name] for name in stages}
  for stage in experiment.stages.values():
    stage.steps = 2
  loop.run(experiment, str(workdir), say=lambda _: None)
  return outcome(str(workdir))


def test_two_runs_of_one_config_are_equal_to_the_bit(tmp_path):
  first, again = _outcome(tmp_path / "first"), _outcome(tmp_path / "again")
  assert differences(first, again) == "nowhere"
  assert first == again
  other = _outcome(tmp_path / "other", seed=1, stages=("sft",))
  assert differences(other, first).startswith("metrics 1: ")  # its first step
