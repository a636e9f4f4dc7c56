"""Several trials asked for, run and told as one, whatever evaluates them."""

import pytest

from grpo_jax.sweep.batch import Batch
from grpo_jax.sweep.evaluation import Ended, Report, Scored
from grpo_jax.sweep.launch import checked
from grpo_jax.sweep.ledger import Ledger
from grpo_jax.sweep.slots import Slot
from grpo_jax.sweep.study import open_study
from tests.sweep.helpers import LR, options


class Together:
  """An evaluation of all trials in one place: a score for each, then the end of each."""

  def __init__(self, asked, slot):
    self.left, self.slot = list(asked), slot

  def poll(self):
    trial, *self.left = self.left
    value = trial.values[LR]
    scored = Scored(trial.number, 0, value)
    return [Report(trial.number, 1, value), scored, Ended(trial.number, value)]

  def prune(self, number):
    raise AssertionError

  def stop(self, at_once=False):
    return True


def test_trials_of_one_slot_are_told_one_by_one(tmp_path):
  asked = options(tmp_path)
  search = checked(asked)
  ledger = Ledger(open_study(asked, search), search, asked, 3)
  batch = Batch(ledger, Slot("here"), Together, count=5)
  assert [trial.number for trial in batch.asked] == [0, 1, 2]  # no more are wanted
  ended = [batch.poll()[0].number for _ in range(3)]
  assert ended == [0, 1, 2]
  assert batch.over
  for trial in ledger.study.trials:
    assert trial.value == pytest.approx(trial.params[LR])
    assert trial.intermediate_values == {1: trial.value}
  assert Batch(ledger, Slot("here"), Together).over
