import pytest

from benchmarks import seed_variance


def test_seeds_that_a_claim_needs():
  """By hand: 2 x 7.849 x (0.02 / 0.01)^2 = 62.8; a difference of ten std is seen at once."""
  assert seed_variance.seeds_for(0.02, 0.01) == 63
  assert seed_variance.seeds_for(0.01, 0.1) == 2


def test_few_seeds_of_what_overlaps_mislead_and_many_do_not():
  apart = seed_variance.misordered([0.8, 0.81], [0.5, 0.52], 1)
  near = [seed_variance.misordered([0.7, 0.8], [0.71, 0.82], n) for n in (1, 30)]
  assert apart == 0
  assert near[0] > near[1] > 0.05


def test_the_tables():
  found = {"a": [0.7, 0.8, 0.75], "b": [0.6, 0.7, 0.62]}
  rows = seed_variance.table(found).splitlines()
  assert rows[2].startswith("| a | 3 | 0.750 ± ")
  text = seed_variance.needed(found)
  assert "| a, b | +0.110 |" in text
  assert seed_variance.interval([0.5, 0.7])[0] == pytest.approx(0.6)
