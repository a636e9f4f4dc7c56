"""The figures of a rollout, against numbers worked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_jax.rewards import Scores
from grpo_jax.run.figures import memory_figures, rollout_figures, sample_records
from grpo_jax.tasks import Example
from grpo_jax.types import Prompts, Rollout

_NAN = math.nan


def _scores(total, **parts):
  arrays = {name: np.asarray(part, np.float32) for name, part in parts.items()}
  return Scores(np.asarray(total, np.float32), arrays, 0)


def _rollout(lengths, T=4, finished=None, logprob=-0.5):
  """Answers of the given lengths [P,G]; what is masked has a log-prob that would be noticed."""
  mask = np.arange(T) < np.asarray(lengths)[..., None]
  prompts = Prompts(np.zeros((len(lengths), 1), np.int32), np.ones((len(lengths), 1), bool))
  finished = np.ones(mask.shape[:2], bool) if finished is None else np.asarray(finished)
  logprobs = np.where(mask, np.float32(logprob), np.float32(-1000))
  return Rollout(prompts, np.zeros(mask.shape, np.int32), mask, logprobs, finished)


def test_figures_by_hand():
  rollout = _rollout([[1, 4], [2, 3]], finished=[[True, False], [True, True]])
  scores = _scores([[1.0, 0.0], [0.5, 0.5]], number=[[1, 0], [0, 0]], format=[[0, 0], [1, 1]])
  assert rollout_figures(rollout, scores, np.array([[1.0, 0.0], [0.0, 0.0]])) == {
    "reward/mean": 0.5,
    "reward/std": pytest.approx(math.sqrt((0.25 + 0.25) / 4)),
    "reward/unscored": 0.0,
    "reward/number": 0.25,
    "reward/format": 0.5,
    "length/mean": 2.5,
    "length/max": 4.0,
    "length/truncated": 0.25,
    "groups/no_signal": 0.5,
    "policy/entropy": 0.5,
  }


def test_what_could_not_be_scored_is_left_out_of_the_rewards():
  scores = _scores([[1.0, _NAN], [0.0, _NAN]], number=[[1.0, 0.0], [0.0, _NAN]])
  figures = rollout_figures(_rollout([[1, 1], [1, 1]]), scores, np.zeros((2, 2)))
  assert figures["reward/mean"] == 0.5
  assert figures["reward/std"] == 0.5
  assert figures["reward/unscored"] == 0.5
  assert figures["reward/number"] == pytest.approx(1 / 3)


def test_a_step_without_a_score_has_no_mean_and_warns_of_nothing(recwarn):
  scores = _scores([[_NAN, _NAN]], number=[[_NAN, _NAN]])
  figures = rollout_figures(_rollout([[1, 1]]), scores, np.zeros((1, 2)))
  assert math.isnan(figures["reward/mean"])
  assert math.isnan(figures["reward/std"])
  assert figures["reward/unscored"] == 1
  assert figures["groups/no_signal"] == 1
  assert not recwarn.list


@given(value=st.floats(-10, 10, width=32), P=st.integers(1, 5), G=st.integers(1, 9))
def test_equal_rewards_have_no_spread(value, P, G):
  """float32 can leave the mean square below the square of the mean."""
  scores = _scores(np.full((P, G), value))
  figures = rollout_figures(_rollout(np.ones((P, G))), scores, np.zeros((P, G)))
  assert all(isinstance(figure, float) for figure in figures.values())
  assert figures["reward/std"] == pytest.approx(0, abs=1e-5)


def test_samples_are_plain_records():
  example = Example([{"role": "system", "content": "s"}, {"role": "user", "content": "q"}], {}, "")
  scores = _scores([[1.0, 0.5]])
  (record,) = sample_records([example], [["a", "b"]], scores, np.array([[1.0, -1.0]]))
  assert record == {
    "prompt": "q",
    "answer": None,
    "completions": ["a", "b"],
    "rewards": [1.0, 0.5],
    "advantages": [1.0, -1.0],
  }


def test_peak_memory_grows_with_what_is_held():
  before = memory_figures()["memory/peak_gb"]
  held = np.ones(200_000_000, np.uint8)
  assert held[0] == 1
  after = memory_figures()["memory/peak_gb"]
  assert 0.05 < before <= after < 1000
  assert after > 0.2
