"""The figures of a rollout, against numbers worked by hand."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_jax.rewards import Scores
from grpo_jax.run.answers import Answers
from grpo_jax.run.figures import (
  answer_figures,
  correlation,
  group_figures,
  memory_figures,
  reward_figures,
  time_figures,
)
from grpo_jax.tasks import Example
from grpo_jax.types import Prompts, Rollout

_NAN = math.nan


def _scores(total, **parts):
  arrays = {name: np.asarray(part, np.float32) for name, part in parts.items()}
  counted = np.stack(list(arrays.values())) if arrays else np.zeros((0, *np.shape(total)))
  return Scores(np.asarray(total, np.float32), arrays, counted, np.ones(len(arrays)))


def _rollout(lengths, T=4, finished=None, logprob=-0.5):
  """Answers of the given lengths [P,G]; what is masked has a log-prob that would be noticed."""
  mask = np.arange(T) < np.asarray(lengths)[..., None]
  prompts = Prompts(np.zeros((len(lengths), 1), np.int32), np.ones((len(lengths), 1), bool))
  finished = np.ones(mask.shape[:2], bool) if finished is None else np.asarray(finished)
  logprobs = np.where(mask, np.float32(logprob), np.float32(-1000))
  return Rollout(prompts, np.zeros(mask.shape, np.int32), mask, logprobs, finished)


def _answers(rollout, scores):
  P, G = scores.total.shape
  examples = [Example([{"role": "user", "content": f"q{row}"}], {}, "") for row in range(P)]
  return Answers(examples, rollout, [["a"] * G] * P, scores, np.zeros(2))


def test_figures_by_hand():
  """Pitfall 25: over all that was sampled, whatever the update is given."""
  rollout = _rollout([[1, 4], [2, 3]], finished=[[True, False], [True, True]])
  scores = _scores([[1.0, 0.0], [0.5, 0.5]], number=[[1, 0], [0, 0]], format=[[0, 0], [1, 1]])
  scores.failures["timeout"] = 1
  assert answer_figures(_answers(rollout, scores)) == {
    "reward/mean": 0.5,
    "reward/std": pytest.approx(math.sqrt((0.25 + 0.25) / 4)),
    "reward/unscored": 0.0,
    "reward/failed/error": 0.0,
    "reward/failed/invalid": 0.0,
    "reward/failed/timeout": 0.25,
    "reward/failed/crash": 0.0,
    "reward/number": 0.25,
    "reward/format": 0.5,
    "reward/number/weighted": 0.25,
    "reward/format/weighted": 0.5,
    "reward/correlation/number/format": pytest.approx(-1 / math.sqrt(3)),
    "length/mean": 2.5,
    "length/max": 4.0,
    "length/truncated": 0.25,
    "policy/entropy": 0.5,
  }


def test_what_groups_are_worth_by_hand():
  total = [[1.0, 0.0], [0.0, 0.0], [1.0, 1.0], [0.0, _NAN]]
  answers = _answers(_rollout(np.ones((4, 2))), _scores(total))
  assert group_figures(answers, np.array([0, 2])) == {
    "groups/no_signal": 0.75,
    "groups/all_right": 0.25,
    "groups/all_wrong": 0.25,
    "groups/sampled": 4.0,
    "groups/unused": 0.5,
  }


def test_where_the_time_went_by_hand():
  answers = _answers(_rollout([[1, 4], [2, 3]]), _scores(np.zeros((2, 2))))
  figures = time_figures(answers, answers.rows(np.array([0])), np.array([2.0, 1.0, 8.0]))
  assert figures == {
    "time/rollout_s": 2.0,
    "time/reward_s": 1.0,
    "time/update_s": 5.0,
    "time/rollout_share": 0.25,
    "time/reward_share": 0.125,
    "time/update_share": 0.625,
    "time/step_s": 8.0,
    "time/tokens_per_s": 1.25,
    "time/rollout_tokens_per_s": 5.0,
    "time/update_tokens_per_s": 1.0,
  }


def test_what_could_not_be_scored_is_left_out_of_the_rewards():
  scores = _scores([[1.0, _NAN], [0.0, _NAN]], number=[[1.0, 0.0], [0.0, _NAN]])
  figures = answer_figures(_answers(_rollout([[1, 1], [1, 1]]), scores))
  assert figures["reward/mean"] == 0.5
  assert figures["reward/std"] == 0.5
  assert figures["reward/unscored"] == 0.5
  assert figures["reward/number"] == pytest.approx(1 / 3)


def test_a_step_without_a_score_has_no_mean_and_warns_of_nothing(recwarn):
  scores = _scores([[_NAN, _NAN]], number=[[_NAN, _NAN]])
  answers = _answers(_rollout([[1, 1]]), scores)
  figures = answer_figures(answers) | group_figures(answers, np.arange(1))
  assert math.isnan(figures["reward/mean"])
  assert math.isnan(figures["reward/std"])
  assert figures["reward/unscored"] == 1
  assert figures["groups/no_signal"] == 1
  assert not recwarn.list


@given(value=st.floats(-10, 10, width=32), P=st.integers(1, 5), G=st.integers(1, 9))
def test_equal_rewards_have_no_spread(value, P, G):
  """float32 can leave the mean square below the square of the mean."""
  scores = _scores(np.full((P, G), value))
  figures = answer_figures(_answers(_rollout(np.ones((P, G))), scores))
  assert all(isinstance(figure, float) for figure in figures.values())
  assert figures["reward/std"] == pytest.approx(0, abs=1e-5)


def test_peak_memory_grows_with_what_is_held():
  before = memory_figures()["memory/peak_gb"]
  held = np.ones(200_000_000, np.uint8)
  assert held[0] == 1
  after = memory_figures()["memory/peak_gb"]
  assert 0.05 < before <= after < 1000
  assert after > 0.2


def test_several_rewards_tell_what_each_adds_and_how_they_go_together():
  a, b = np.array([[0.0, 1.0], [1.0, np.nan]]), np.array([[2.0, 1.0], [1.0, 5.0]])
  scores = _scores(2 * a - b, a=a, b=b)
  scores = dataclasses.replace(scores, weights=np.array([2.0, -1.0]))
  found = reward_figures(scores)
  assert found["reward/a"] == pytest.approx(2 / 3)
  assert found["reward/a/weighted"] == pytest.approx(4 / 3)
  assert found["reward/b/weighted"] == pytest.approx(-9 / 4)
  # Of (0, 2), (1, 1), (1, 1): one falls as the other rises.
  assert found["reward/correlation/a/b"] == pytest.approx(-1)


def test_one_reward_is_told_once():
  assert list(reward_figures(_scores([[1.0]], number=np.ones((1, 1))))) == ["reward/number"]


@pytest.mark.parametrize("other", [np.ones((1, 3)), np.full((1, 3), np.nan)])
def test_a_constant_correlates_with_nothing(other):
  assert np.isnan(correlation(np.array([[1.0, 2.0, 3.0]]), other))


def test_with_gdpo_a_group_has_signal_where_any_reward_differs():
  """A constant sum of two rewards: nothing to compare but with GDPO, which exists for it."""
  scores = _scores([[2, 2], [1, 1]], a=np.array([[2, 0], [1, 1]]), b=np.array([[0, 2], [0, 0]]))
  answers = _answers(_rollout([[1, 1], [1, 1]]), scores)
  assert answers.signal().tolist() == [False, False]
  assert answers.signal(gdpo=True).tolist() == [True, False]
