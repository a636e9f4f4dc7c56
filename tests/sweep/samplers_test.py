"""Samplers by name, and what each cannot do."""

import pytest

from grpo_jax.config import ConfigError
from grpo_jax.sweep.samplers import SAMPLERS, make_sampler
from grpo_jax.sweep.space import Range

pytest.importorskip("optuna")
_CHOICE, _RATE = Range(choices=(1, 2)), Range(1e-6, 1e-3, log=True)


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "grid"])
def test_ranges_beside_choices_are_sampled_by_any(name):
  assert make_sampler(name, {"a": _RATE, "b": _CHOICE})


def test_cma_wants_a_number_to_move():
  with pytest.raises(ConfigError, match="all of --space are choices"):
    make_sampler("cma", {"a": _CHOICE, "b": _CHOICE})
  assert make_sampler("cma", {}), "of a function nothing is known"


def test_a_grid_wants_a_space_that_can_be_listed():
  assert make_sampler("grid", {"a": _CHOICE})
  with pytest.raises(ConfigError, match="a function cannot be listed"):
    make_sampler("grid", {})
  with pytest.raises(ConfigError, match="points; 100000 are the most"):
    make_sampler("grid", {name: Range(choices=tuple(range(100))) for name in "abc"})
