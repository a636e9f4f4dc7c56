"""The sigmoid of compute against performance: values, recovery, intervals, and when to prune."""

import math

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from grpo_jax.report import bootstrap, sigmoid, solver
from grpo_jax.report.halves import halves

_COMPUTE = np.linspace(0, 100, 21)


def _curve(ceiling=0.7, exponent=2.0, middle=30.0, *, start=0.1, noise=0.0, generator=None):
  values = sigmoid.sigmoid(_COMPUTE, start, ceiling, exponent, middle)
  if noise:
    values = values + noise * generator.standard_normal(len(values)) * (_COMPUTE > 0)
  return sigmoid.Curve(_COMPUTE, values)


def test_hand_worked_values():
  at = [0.0, 10.0, 20.0, 30.0, math.inf]
  # 0.2 + 0.6 / (1 + (10 / C)^1): at 0, at C_mid, at 2 C_mid, at 3 C_mid, in the end.
  expected = [0.2, 0.5, 0.6, 0.65, 0.8]
  np.testing.assert_allclose(sigmoid.sigmoid(at, 0.2, 0.8, 1.0, 10.0), expected, rtol=1e-12)
  # With B = 2 and R_0 = 0, as published: 1 / (1 + (10 / 20)^2) = 0.8.
  np.testing.assert_allclose(sigmoid.sigmoid([20.0], 0.0, 1.0, 2.0, 10.0), [0.8], rtol=1e-12)


@pytest.mark.parametrize("ceiling", [0.3, 0.95])
@pytest.mark.parametrize("exponent", [0.8, 3.0])
@pytest.mark.parametrize("middle", [12.0, 60.0])
def test_known_parameters_come_back_from_exact_data(ceiling, exponent, middle):
  found = sigmoid.fit([_curve(ceiling, exponent, middle)], replicates=5)
  got = (found.ceiling, found.exponent, found.middle)
  np.testing.assert_allclose(got, (ceiling, exponent, middle), rtol=1e-3)
  assert not found.doubt
  assert found.noise < 1e-5


def test_seeds_with_other_starts_share_one_ceiling():
  curves = [_curve(start=start) for start in (0.0, 0.1, 0.3)]
  found = sigmoid.fit(curves, replicates=5)
  np.testing.assert_allclose((found.ceiling, found.exponent, found.middle), (0.7, 2, 30), rtol=1e-3)
  assert found.start == pytest.approx(0.4 / 3)


@pytest.mark.parametrize(
  ("seeds", "apart"), [(1, 0.0), pytest.param(3, 0.03, marks=pytest.mark.slow)]
)
def test_intervals_hold_the_truth_about_as_often_as_they_say(seeds, apart):
  generator, truth = np.random.default_rng(0), {"ceiling": 0.7, "exponent": 2.0, "middle": 30.0}
  held = []
  for _ in range(60):
    ceilings = 0.7 + apart * generator.standard_normal(seeds)
    curves = [_curve(ceiling, noise=0.03, generator=generator) for ceiling in ceilings]
    found = sigmoid.fit(curves, replicates=60)
    held.append([low <= value <= high for (low, high), value in _intervals(found, truth)])
  # 60 trials at 95 % hold 57 on average, with a standard deviation of 1.7.
  assert np.sum(held, 0).min() >= 51
  assert np.mean(held) < 0.99


def _intervals(found, truth):
  return [(found.interval(name), value) for name, value in truth.items()]


def test_what_has_not_bent_is_not_identified():
  generator = np.random.default_rng(0)
  found = sigmoid.fit([_curve(0.9, 1.5, 400.0, noise=0.02, generator=generator)])
  assert found.doubt == "the curve has not bent"
  low, high = found.interval("ceiling")
  assert high - low > 0.5


@pytest.mark.parametrize(
  ("values", "doubt"),
  [
    ([], "fewer than 5 evaluations after the first"),
    ([0.1, 0.2, 0.3, 0.4, 0.5], "fewer than 5 evaluations after the first"),
    ([math.nan] * 9, "fewer than 5 evaluations after the first"),
    ([0.3] * 9, "no improvement"),
    ([1.0] * 9, "no improvement"),
    ([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3], "no improvement"),
  ],
)
def test_what_cannot_be_fitted_says_why(values, doubt):
  found = sigmoid.fit([sigmoid.Curve(np.arange(len(values)), np.array(values))])
  assert found.doubt == doubt
  assert math.isnan(found.ceiling)


def test_compute_of_zero_everywhere_says_why():
  found = sigmoid.fit([sigmoid.Curve(np.zeros(9), np.linspace(0, 1, 9))])
  assert found.doubt == "no compute is known"


def test_values_that_are_not_finite_change_nothing():
  curve = _curve()
  torn = sigmoid.Curve(np.append(_COMPUTE, 105.0), np.append(curve.values, math.nan))
  assert sigmoid.fit([torn], replicates=5).ceiling == sigmoid.fit([curve], replicates=5).ceiling


def test_a_figure_with_other_limits_is_the_same_curve_scaled():
  curve, limits = _curve(), (-50.0, 50.0)
  scaled = sigmoid.Curve(_COMPUTE, 100 * curve.values - 50)
  found = sigmoid.fit([scaled], limits=limits, replicates=5)
  np.testing.assert_allclose((found.ceiling, found.exponent, found.middle), (20, 2, 30), rtol=1e-3)


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(
  st.lists(st.floats(0, 1), min_size=0, max_size=12),
  st.sampled_from([1e-6, 1.0, 1e9]),
  st.integers(1, 3),
)
def test_any_curve_is_fitted_within_bounds_or_refused(values, unit, seeds):
  curve = sigmoid.Curve(unit * np.arange(len(values)), np.array(values))
  found = sigmoid.fit([curve] * seeds, replicates=10)
  if math.isnan(found.ceiling):
    assert found.doubt
    return
  assert found.start <= found.ceiling <= 1 + 1e-9
  assert 0.25 - 1e-9 <= found.exponent <= 8 + 1e-9
  assert unit / 10 * 0.999 <= found.middle <= 10 * unit * len(values)
  low, high = found.band(curve.compute)
  assert np.all(low <= high)
  sigmoid.predicted_ceiling(curve.compute, values, 0.5, final=2 * unit * len(values))


def test_slopes_agree_with_finite_differences():
  points = solver.Points(_COMPUTE[1:], np.zeros(20), np.full(20, 0.1), 0.12, 0.0, 1.0)
  theta = np.log([[0.6, 1.7, 40.0]])
  slopes = solver._with_slopes(theta, points)[1][0]
  for index, step in enumerate(1e-6 * np.eye(3)):
    change = solver.predict(theta + step, points) - solver.predict(theta - step, points)
    np.testing.assert_allclose(slopes[:, index], change[0] / 2e-6, atol=1e-8)


def test_many_fits_are_the_fit():
  generator = np.random.default_rng(0)
  values = np.stack([_curve(noise=0.03, generator=generator).values[1:] for _ in range(20)])
  points = solver.Points(_COMPUTE[1:], values[0], np.full(20, 0.1), 0.1, 0.0, 1.0)
  many = solver.solve_many(points, values, np.log([0.5, 1.0, 20.0]))
  for theta, each in zip(many, values, strict=True):
    one = solver.Points(points.compute, each, points.start, 0.1, 0.0, 1.0)
    np.testing.assert_allclose(theta, solver.solve(one), atol=2e-3)


def test_one_seed_of_exact_data_has_no_spread():
  curve = _curve()
  points = solver.Points(_COMPUTE[1:], curve.values[1:], np.full(20, 0.1), 0.1, 0.0, 1.0)
  theta, generator = np.log([0.6, 2.0, 30.0]), np.random.default_rng(0)
  many = bootstrap.bootstrap(points, np.zeros(20, int), theta, 10, generator)
  np.testing.assert_allclose(many, np.tile(theta, (10, 1)), atol=1e-6)


def test_the_first_half_predicts_the_second():
  found = halves([_curve(), _curve(start=0.2)])
  assert found.error < 1e-5
  assert abs(found.last) < 1e-5
  # 'As it is' is the score at C = 50, half of 20 evaluations: 0.1 + 0.6 / (1 + 0.36).
  assert found.naive_last == pytest.approx((0.6 + 0.5) / 2 * (1 / 1.36 - 1 / 1.09), rel=1e-9)
  assert found.naive_error > 0.05


def test_halves_of_little():
  assert halves([sigmoid.Curve(np.arange(2.0), np.array([0.1, 0.2]))]) is None
  found = halves([sigmoid.Curve(np.arange(5.0), np.array([0.1, 0.2, 0.3, 0.4, 0.6]))])
  assert "fewer than 5" in found.doubt
  assert math.isnan(found.error)
  # The first half ends at 0.3; 0.4 and 0.6 follow.
  assert found.naive_error == pytest.approx(math.sqrt((0.01 + 0.09) / 2))
  assert found.naive_last == pytest.approx(-0.3)


@pytest.mark.parametrize(
  ("values", "final", "pruned"),
  [
    ([math.nan] * 12, 12, False),  # nothing is known
    ([0.1] * 4, 4, False),  # too early
    ([0.1] * 12, None, False),  # may rise yet, for all that is known
    ([0.1] * 12, 100, False),
    ([0.1] * 12, 20, True),  # past half of the run and never above the best
    ([0.7] * 12, 20, False),  # is above
    (list(np.linspace(0.5, 0.1, 12)), 20, True),
    (list(np.linspace(0.9, 0.1, 12)), 20, False),  # has been above
    (list(0.1 + 0.2 * (1 - np.exp(-np.arange(12)))), 20, True),  # has bent, far below
    (list(0.1 + 0.2 * (1 - np.exp(-np.arange(12)))), None, True),
    (list(np.linspace(0.1, 0.5, 12)), 40, False),  # still rising
  ],
)
def test_when_a_run_is_pruned(values, final, pruned):
  steps = np.arange(len(values))
  assert sigmoid.predicted_ceiling(steps, values, 0.6, final=final) == pruned
  assert not sigmoid.predicted_ceiling(steps, values, math.nan, final=final)


@pytest.mark.slow
def test_the_best_of_a_sweep_is_seldom_pruned_and_bad_ones_often_are():
  generator = np.random.default_rng(0)
  lost, bad = 0, []
  for _ in range(12):
    arms = generator.uniform([0.2, 0.8, np.log(8)], [0.95, 4.0, np.log(80)], (6, 3))
    curves = [_curve(a, b, math.exp(m), noise=0.03, generator=generator).values for a, b, m in arms]
    ends = sigmoid.sigmoid(100.0, 0.1, arms[:, 0], arms[:, 1], np.exp(arms[:, 2]))
    for arm in range(6):
      others = max(curve[-1] for place, curve in enumerate(curves) if place != arm)
      pruned = any(
        sigmoid.predicted_ceiling(_COMPUTE[:seen], curves[arm][:seen], others, final=100.0)
        for seen in (8, 12, 16)
      )
      lost += pruned and arm == ends.argmax()
      bad += [pruned] if ends[arm] < ends.max() - 0.2 else []
  assert lost <= 1
  assert np.mean(bad) > 0.8
