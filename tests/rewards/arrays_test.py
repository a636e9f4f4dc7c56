"""Rewards in JAX: values, shapes, and how they stand beside rewards of texts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.config import ConfigError
from grpo_jax.rewards import ArrayReward, Solutions, resolve, score
from tests import toys

STOP = 9
# Two prompts, whose solutions are [3, 4, STOP] and [5, STOP].
SOLUTIONS = Solutions(
  jnp.array([[3, 4, STOP, 0], [5, STOP, 0, 0]]), jnp.array([[1, 1, 1, 0], [1, 1, 0, 0]], bool)
)


def rollout(*groups):
  """Answers [P,G,4]; an answer ends with its stop token, and 7s stand behind it."""
  tokens = np.full((len(groups), len(groups[0]), 4), 7, np.int32)
  mask = np.zeros(tokens.shape, bool)
  for p, group in enumerate(groups):
    for g, answer in enumerate(group):
      tokens[p, g, : len(answer)] = answer
      mask[p, g, : len(answer)] = True
  return toys.answers_of(toys.prompts([[1], [2]]), tokens, jnp.asarray(mask))


ANSWERS = rollout(
  [[3, 4, STOP], [3, 4, 4, STOP], [3, STOP], [3, 4, STOP, 7]],
  [[5, STOP], [3, 4, STOP], [5], [STOP]],
)
EXPECTED = [[1, 0, 0, 0], [1, 0, 0, 0]]


@pytest.mark.parametrize("jit", [False, True])
def test_solution_is_the_whole_solution_and_no_more(jit):
  reward = resolve("solution")
  found = (jax.jit(reward) if jit else reward)(ANSWERS, SOLUTIONS)
  assert found.dtype == jnp.float32
  np.testing.assert_array_equal(found, EXPECTED)


def test_what_stands_behind_a_solution_does_not_matter():
  other = SOLUTIONS.replace(tokens=jnp.where(SOLUTIONS.mask, SOLUTIONS.tokens, 7))
  np.testing.assert_array_equal(resolve("solution")(ANSWERS, other), EXPECTED)


def test_an_answer_cut_by_its_budget_is_no_solution():
  """All tokens fit so far, and the stop token is missing."""
  cut = Solutions(jnp.array([[3, 4, 4, STOP]] * 2)[:, :4], jnp.ones((2, 4), bool))
  found = resolve("solution")(rollout([[3, 4, 4]], [[3, 4, 4, STOP]]), cut)
  np.testing.assert_array_equal(found, [[0], [1]])


def test_rewards_of_both_kinds_add_up():
  texts = [["46", "45", "46", "x"], ["1", "2", "46", "46"]]
  fields = [{"answer": "46"}] * 2
  weights = {"number": 1.0, "solution": 0.5}
  scores = score(weights, ["a", "b"], texts, fields, arrays=(ANSWERS, SOLUTIONS))
  np.testing.assert_array_equal(scores.parts["solution"], EXPECTED)
  np.testing.assert_array_equal(scores.total, [[1.5, 0, 1, 0], [0.5, 0, 1, 1]])


FILE = """
import jax.numpy as jnp
from grpo_jax.rewards import ArrayReward

@ArrayReward
def short(rollout, solutions):
  return -rollout.mask.sum(-1)

@ArrayReward
def total(rollout, solutions):
  return -rollout.mask.sum()

@ArrayReward
def endless(rollout, solutions):
  return jnp.where(rollout.finished, jnp.inf, 0)
"""


@pytest.fixture
def own(tmp_path):
  path = tmp_path / "own.py"
  path.write_text(FILE)

  def scored(name):
    weights = {f"{path}:{name}": 1.0}
    texts = [["", "", "", ""]] * 2
    return score(weights, ["a", "b"], texts, [{}, {}], arrays=(ANSWERS, SOLUTIONS))

  return scored


def test_a_reward_in_jax_of_ones_own(own):
  np.testing.assert_array_equal(own("short").total, [[-3, -4, -2, -4], [-2, -3, -1, -1]])


def test_scores_of_another_shape_are_refused_by_name(own):
  with pytest.raises(ValueError, match=r"reward total gave scores of shape \(\): expected .*2, 4"):
    own("total")


def test_an_infinite_score_is_refused_by_name(own):
  with pytest.raises(TypeError, match=r"own\.py:endless' gave an infinite score"):
    own("endless")


def test_a_name_close_to_solution_is_told():
  with pytest.raises(ConfigError, match="did you mean 'solution'"):
    resolve("solutions")
  assert isinstance(resolve("solution"), ArrayReward)
