"""Which checkpoint is meant, and what policy it holds."""

import itertools
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.config import Checkpoint, ConfigError
from grpo_jax.run import loop
from grpo_jax.run.checkpoint import Checkpointer
from grpo_jax.run.chosen import choose, experiment_of
from grpo_jax.run.policy import load_policy
from grpo_jax.run.record import read_config
from grpo_jax.types import TrainState
from tests.run import small


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
  folder = tmp_path_factory.mktemp("run")
  loop.run(small.experiment(keep=9), str(folder), say=lambda line: None)
  return str(folder)


def _flat(params):
  return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(params)])


def _chosen(workdir, which):
  return choose(read_config(workdir), workdir, which)


def test_each_is_another_policy(workdir):
  found = {which: _chosen(workdir, which) for which in ("start", "2", "4", "latest")}
  assert [own.label for own in found.values()] == ["start", "2", "4", "8"]
  assert [own.stage for own in found.values()] == ["", "sft", "sft", "grpo"]
  flat = [_flat(own.policy.params) for own in found.values()]
  assert all((a != b).any() for a, b in itertools.pairwise(flat))
  np.testing.assert_array_equal(flat[0], _flat(load_policy(small.experiment()).params))


def test_the_best_has_the_highest_accuracy_and_is_the_later_of_equals(workdir, tmp_path):
  copy = str(tmp_path / "run")
  shutil.copytree(workdir, copy)

  def told(accuracies):
    with open(f"{copy}/metrics.jsonl", "w", encoding="utf-8") as file:
      for (stage, step), value in accuracies.items():
        file.write(json.dumps({"stage": stage, "step": step, "eval/accuracy": value}) + "\n")
      file.write('{"stage": "grpo", "st')  # torn by a kill
    return _chosen(copy, "best").label

  assert told({("sft", 0): 1.0, ("sft", 2): 0.25, ("sft", 4): 0.5, ("grpo", 4): 0.25}) == "4"
  assert told({("sft", 2): 0.25, ("grpo", 2): 0.75, ("grpo", 4): 0.75}) == "8"
  assert told({("sft", 2): 0.25, ("grpo", 2): 0.75, ("grpo", 4): None}) == "6"
  assert told({("sft", 3): 1.0, ("sft", 4): 0.5}) == "4"  # of step 3 there is no checkpoint
  with pytest.raises(ConfigError, match=r"none of the checkpoints .* was evaluated"):
    told({("sft", 3): 1.0})


@pytest.mark.parametrize(
  ("which", "said"),
  [
    ("3", r"has no checkpoint 3: there are \[2, 4, 6, 8\]"),
    ("bst", "expected latest, best, start"),
  ],
)
def test_what_is_not_there_is_one_line(workdir, which, said):
  with pytest.raises(ConfigError, match=said):
    _chosen(workdir, which)


def test_the_experiment_is_the_runs(workdir, tmp_path):
  assert experiment_of(None, workdir) == read_config(workdir)
  other = small.experiment(keep=9)
  other.seed = 7
  with pytest.raises(ConfigError, match=r"config.seed was 0, now 7"):
    experiment_of(other, workdir)
  with pytest.raises(ConfigError, match="name a run by --workdir"):
    experiment_of(None, None)
  with pytest.raises(ConfigError, match="is no run folder"):
    experiment_of(None, str(tmp_path))


def test_without_a_folder_it_is_the_model_as_it_begins():
  own = choose(small.experiment(), None)
  assert own.label == "start"
  np.testing.assert_array_equal(
    _flat(own.policy.params), _flat(load_policy(small.experiment()).params)
  )


def test_of_equals_the_later_is_the_checkpoint_that_stays(tmp_path):
  """As `report.found.best` has it."""
  checkpoints = Checkpointer(str(tmp_path), Checkpoint(keep=1))
  for number, accuracy in enumerate([0.5, 0.7, 0.7, 0.2, 0.1], 1):
    state = TrainState(step=jnp.int32(number), params={"w": jnp.ones(2)}, opt_state={})
    checkpoints.save(number, state, accuracy)
  checkpoints.close()
  assert checkpoints.numbers() == [3, 5]
