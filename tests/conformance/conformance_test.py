"""Any implementation of the formulas against recorded numbers.

python -m pytest tests/conformance

checks grpo_jax; CONFORMANCE=my_package.my_module checks another's functions of the same names and
arguments (`policy_loss`, `group_advantages`, `kl_estimate`, ...); those it does not have are
skipped. Arrays go in as JAX arrays in float32 and come out as anything NumPy reads. Where a
function is not differentiable by JAX, set CONFORMANCE_GRADIENT=finite.
"""

import importlib
import json
import os
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax import config, grouping, losses, shaping
from tests import references
from tests.conformance import record

_OURS = types.SimpleNamespace(**{**vars(grouping), **vars(shaping), **vars(losses)})
_CASES = json.loads(record.FILE.read_text())
_NAMES = [f"{case['function']}-{case['name']}" for case in _CASES]


def _function(name):
  module = os.environ.get("CONFORMANCE")
  owner = importlib.import_module(module) if module else _OURS
  found = getattr(owner, name, None)
  return found if found else pytest.skip(f"{module} has no {name}")


def _array(value):
  array = np.array(value)
  return jnp.asarray(array, jnp.float32 if array.dtype == np.float64 else None)


def _loss(case):
  """logprobs -> loss, the other inputs held."""
  given = {name: _array(value) for name, value in case["inputs"].items()}
  given["length_budget"] = int(given["length_budget"])
  names = ("old_logprobs", "advantages", "mask")
  rest = [given.pop(name) for name in names]
  logprobs = given.pop("logprobs")
  function, settings = _function("policy_loss"), config.LossConfig(**case["options"])
  return lambda x: function(x, *rest, settings, **given)[0], logprobs


@pytest.mark.parametrize("case", _CASES, ids=_NAMES)
def test_value(case):
  if case["function"] == "policy_loss":
    loss, logprobs = _loss(case)
    found = loss(logprobs)
  elif case["function"] == "group_advantages":
    given = {name: _array(value) for name, value in case["inputs"].items()}
    found = _function(case["function"])(given.pop("rewards"), **given, **case["options"])
  else:
    given = [_array(value) for value in case["inputs"].values()]
    found = _function(case["function"])(*given, **case["options"])
  expected = np.array(case["value"])
  np.testing.assert_allclose(
    np.asarray(found).reshape(expected.shape), expected, rtol=5e-5, atol=2e-6
  )


@pytest.mark.parametrize(
  "case", [c for c in _CASES if c["gradient"]], ids=[n for n in _NAMES if "policy_loss" in n]
)
def test_gradient(case):
  loss, logprobs = _loss(case)
  if os.environ.get("CONFORMANCE_GRADIENT") == "finite":
    found = references.finite_differences(lambda x: float(loss(x)), logprobs, h=1e-3)
    np.testing.assert_allclose(found, case["gradient"], rtol=5e-2, atol=5e-3)
  else:
    found = jax.grad(lambda x: loss(x).sum())(logprobs)
    np.testing.assert_allclose(found, case["gradient"], rtol=1e-4, atol=1e-6)


def test_the_table_is_what_the_formulas_give():
  """cases.json is written by `record` and by nothing else."""
  recorded = record.FILE.read_text().splitlines()[1:-1]
  for line, again in zip(recorded, record.lines(), strict=True):
    left, right = json.loads(line.rstrip(",")), json.loads(again)
    for key in ("function", "name", "options", "inputs"):
      assert left[key] == right[key]
    np.testing.assert_allclose(left["value"], right["value"], rtol=1e-9, atol=1e-12)


def test_the_conventions_of_others_are_the_presets():
  """A case that cites a framework has the fields of the preset that is named after it."""
  cited = {(c["function"], c["name"]): c["options"] for c in _CASES if c["source"]}
  for name in ("grpo_trl", "grpo_verl"):
    algorithm = config.PRESETS[name]
    grouping = config.Grouping(**cited["group_advantages", name])
    assert grouping == algorithm.grouping
    assert config.LossConfig(**cited["policy_loss", name]) == algorithm.loss


def test_every_choice_of_the_config_has_a_case():
  def chosen(field):
    return {c["options"].get(field) for c in _CASES} - {None}

  assert set(losses.OBJECTIVES) <= chosen("objective") | {"ppo_clip"}
  assert set(losses.AGGREGATIONS) <= chosen("aggregation")
  assert set(losses.KL_ESTIMATORS) <= chosen("kl_estimator")
  assert set(losses.CORRECTIONS) <= chosen("sampler_correction") | {"none"}
