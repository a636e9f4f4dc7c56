"""The same config and seed give the same run twice, bit for bit; another seed another."""

from grpo_jax.run import loop
from tests.faults import every
from tests.faults.soak import differences, outcome


def _outcome(workdir, seed=0):
  experiment = every.get_config()
  experiment.seed = seed
  for name in ("adapters", "host"):
    del experiment.stages[name]
  for stage in experiment.stages.values():
    stage.steps = 2
  loop.run(experiment, str(workdir), say=lambda _: None)
  return outcome(str(workdir))


def test_two_runs_of_one_config_are_equal_to_the_bit(tmp_path):
  first, again = _outcome(tmp_path / "first"), _outcome(tmp_path / "again")
  assert differences(first, again) == "nowhere"
  assert first == again
  assert differences(first, _outcome(tmp_path / "other", seed=1)) != "nowhere"
