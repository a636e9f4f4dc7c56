"""How much each parameter has to do with the objective."""

import importlib.util
import warnings
from typing import Any

from grpo_jax.report.extra import load

_LEAST = 10  # completed trials; a forest on fewer is noise


def importances(study: Any) -> tuple[dict[str, float], str]:
  """Shares that sum to 1, the greatest first, and by which method; {} and why where there are none.

  fANOVA (Hutter et al. 2014) where scikit-learn is installed: the share of the objective's variance
  over the whole space. Else PED-ANOVA (Watanabe et al. 2023), which needs nothing: how differently
  the best tenth is distributed.
  """
  optuna = load("optuna", "reading a study")
  done = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
  if len(done) < _LEAST:
    return {}, f"{len(done)} completed trials are too few for importances: {_LEAST} are wanted"
  if len({trial.value for trial in done}) == 1:
    return {}, "no importances: all trials have the same value"
  forest = importlib.util.find_spec("sklearn") is not None
  kinds = optuna.importance
  evaluator = (
    kinds.FanovaImportanceEvaluator(seed=0) if forest else kinds.PedAnovaImportanceEvaluator()
  )
  try:
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")
      shares = kinds.get_param_importances(study, evaluator=evaluator)
  except (ValueError, RuntimeError) as error:
    return {}, f"no importances: {' '.join(str(error).split())}"
  if not shares:
    return {}, "no importances: no parameter varied in all trials"
  ped = "PED-ANOVA, of being among the best tenth (with scikit-learn installed: fANOVA)"
  method = "fANOVA, shares of the objective's variance" if forest else ped
  order = sorted(shares, key=lambda path: -shares[path])
  return {path: float(shares[path]) for path in order}, f"{method}; {len(done)} trials"
