"""Batches that there is nothing to learn from, or little: no signal, all cut off, empty answers."""

import json

import jax
import numpy as np
import pytest

from grpo_jax import config
from grpo_jax.run.policy import load_policy
from tests.run import stages_test

_FIGURES = ("train/grad_norm", "length/mean", "policy/entropy", "reward/mean")


def _trained(workdir, **fields):
  """The lines of the steps, what was said, and whether any parameter is another than at first."""
  stages = {"rl": stages_test._grpo(**fields)}
  said = stages_test.run(stages, workdir)
  first = jax.tree.leaves(load_policy(stages_test.experiment(stages)).params)
  moved = np.any(stages_test.params(workdir) != np.concatenate([np.ravel(x) for x in first]))
  lines = [line for line in stages_test.lines(workdir) if "train/lr" in line]
  for line in lines:
    assert None not in [line[name] for name in _FIGURES], line
  return lines, said, bool(moved)


@pytest.fixture
def flat(tmp_path):
  path = tmp_path / "flat.py"
  path.write_text("def flat(prompt, completion, fields):\n  return 0.25\n")
  return {f"{path}:flat": 1.0}


@pytest.mark.fault(17)
def test_where_no_group_has_signal_no_parameter_moves_and_one_line_says_so(tmp_path, flat):
  lines, said, moved = _trained(tmp_path / "run", steps=7, rewards=flat)
  assert not moved
  assert [line["train/skipped"] for line in lines] == [1.0] * 7
  assert [line["train/nonfinite"] for line in lines] == [0.0] * 7
  assert said.count("warning: rl step 5: no signal: 100% of groups") == 1
  assert said.count(": no signal: ") == 1


@pytest.mark.fault(18)
def test_where_every_answer_is_cut_off_and_masked_nothing_is_learned(tmp_path):
  """One token, which is hardly ever the end."""
  sizes = config.Rollout(prompts=4, group_size=4, max_tokens=1)
  loss = config.LossConfig(mask_truncated=True)
  stage = config.GRPO(steps=6, rewards={"random": 1.0}, rollout=sizes, loss=loss)
  said = stages_test.run({"rl": stage}, tmp_path)
  lines = [line for line in stages_test.lines(tmp_path) if "train/lr" in line]
  whole = [line for line in lines if line["length/truncated"] == 1]
  assert len(whole) >= 4
  assert all(line["train/skipped"] and line["train/grad_norm"] == 0 for line in whole)
  assert said.count(": length explosion: ") == 1


@pytest.mark.fault(19)
def test_answers_without_a_word_are_learned_from(tmp_path):
  """Of a model that knows nothing, one in a hundred ends at once."""
  sizes = config.Rollout(prompts=16, group_size=16, max_tokens=3)
  stage = config.GRPO(steps=2, rewards={"random": 1.0}, rollout=sizes)
  stages_test.run({"rl": stage}, tmp_path)
  with open(tmp_path / "samples.jsonl", encoding="utf-8") as file:
    samples = [json.loads(line) for line in file]
  empty = [
    (sample["rewards"][at], sample["advantages"][at])
    for sample in samples
    for at, text in enumerate(sample["completions"])
    if text == ""
  ]
  assert empty
  assert all(None not in pair and pair[1] != 0 for pair in empty)
  for line in stages_test.lines(tmp_path):
    if "train/lr" in line:
      assert None not in [line[name] for name in _FIGURES], line
      assert line["train/skipped"] == 0
