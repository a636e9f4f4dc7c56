"""Writes cases.json: every case with its numbers, by the plain float64 formulas of the tests.

python -m tests.conformance.record
"""

import dataclasses
import json
import pathlib

import numpy as np

from grpo_jax.config import LossConfig
from tests import references
from tests.conformance.cases import Case, unsolved

FILE = pathlib.Path(__file__).with_name("cases.json")


def solved(case: Case) -> Case:
  """The case with its value, and for a loss its gradient by finite differences."""
  given = dict(case.inputs)
  if case.function != "policy_loss":
    return dataclasses.replace(case, value=_plain(case))
  config = LossConfig(**case.options)
  given["length_budget"] = int(given["length_budget"])
  still = (given["logprobs"], given["old_logprobs"])

  def loss(logprobs: np.ndarray) -> float:
    moved = {**given, "logprobs": logprobs}
    return references.policy_loss(config=config, fixed=still, **moved)

  gradient = references.finite_differences(loss, given["logprobs"])
  return dataclasses.replace(case, value=loss(given["logprobs"]), gradient=gradient)


def _plain(case: Case) -> np.ndarray:
  given, options = case.inputs, case.options
  if case.function == "kl_estimate":
    pairs = zip(given["logprobs"].flat, given["ref_logprobs"].flat, strict=True)
    return np.array([references.kl_estimate(a, b, options["kind"]) for a, b in pairs])
  if case.function == "overlong_penalty":
    lengths = given["lengths"].tolist()
    return np.array([references.overlong_penalty(n, **options) for n in lengths])
  if case.function == "group_advantages":
    return references.group_advantages(given["rewards"], lengths=given["lengths"], **options)
  return getattr(references, case.function)(*given.values(), **options)


def _json(value):
  return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def lines() -> list[str]:
  """One line of JSON a case."""
  result = []
  for case in unsolved():
    fields = dataclasses.asdict(solved(case))
    fields["inputs"] = {name: _json(value) for name, value in case.inputs.items()}
    result.append(json.dumps({name: _json(value) for name, value in fields.items()}))
  return result


if __name__ == "__main__":
  FILE.write_text("[\n" + ",\n".join(lines()) + "\n]\n")
