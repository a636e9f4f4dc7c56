"""The estimate of a gradient's noise, on gradients whose noise is known."""

import numpy as np
import pytest

from benchmarks.variance import noise_to_signal


def _products(noise, count=400, size=50, seed=0):
  rng = np.random.default_rng(seed)
  mean = np.ones(size) / np.sqrt(size)  # |E g|^2 = 1
  gradients = mean + rng.normal(0, np.sqrt(noise / size), (count, size))
  return gradients @ gradients.T


@pytest.mark.parametrize("noise", [0.1, 1.0, 4.0])
def test_noise_over_signal_is_that_of_the_distribution(noise):
  value, low, high = noise_to_signal(_products(noise))
  assert value == pytest.approx(noise, rel=0.15)
  assert low < noise < high


def test_it_has_no_bias_where_noise_outweighs_signal():
  """|mean g|^2 would count a share 1/n of the noise as signal."""
  found = [noise_to_signal(_products(10.0, count=40, seed=seed))[0] for seed in range(30)]
  assert np.median(found) == pytest.approx(10, rel=0.2)


def test_equal_gradients_have_none():
  assert noise_to_signal(np.ones((5, 5)))[0] == 0
