"""Every experiment file gives a config that passes its checks, under every name that it takes."""

import os
import runpy

import pytest

from experiments.configs import grpo_vs_ppo, gym, overoptimisation, reward_strategies, scaling
from grpo_jax import config
from grpo_jax.run.checks import check_rewards

_FOLDER = os.path.dirname(os.path.abspath(grpo_vs_ppo.__file__))
_NAMES = {
  "grpo_vs_ppo": [
    "warm_start",
    *(f"{name}-{group}" for name in grpo_vs_ppo.ALGORITHMS for group in grpo_vs_ppo.GROUPS),
    "rloo-4-256",
    *(f"smollm2-{name}" for name in grpo_vs_ppo.ALGORITHMS),
    *(f"smollm2_learning-{name}" for name in grpo_vs_ppo.ALGORITHMS),
  ],
  "gym": ["", *gym.TASKS],
  "overoptimisation": list(overoptimisation.NAMES),
  "reward_strategies": ["warm_start", *reward_strategies.STRATEGIES],
  "scaling": list(scaling.SIZES),
  "variants": ["warm_start", *config.PRESETS],
}
_FILES = sorted(
  name.removesuffix(".py")
  for name in os.listdir(_FOLDER)
  if name.endswith(".py") and name != "__init__.py"
)


@pytest.mark.parametrize(
  ("file", "name"), [(file, name) for file in _FILES for name in _NAMES.get(file, [None])]
)
def test_it_passes_its_checks(file, name):
  module = runpy.run_path(os.path.join(_FOLDER, f"{file}.py"))
  experiment = module["get_config"](*([] if name is None else [name]))
  config.check(experiment)
  check_rewards(experiment)
  assert f"--config=experiments/configs/{file}.py" in module["__doc__"]


@pytest.mark.parametrize(
  ("module", "name"),
  [
    (grpo_vs_ppo, "ppo-8"),
    (grpo_vs_ppo, "grpo-3"),
    (grpo_vs_ppo, "grpo-8-100"),
    (grpo_vs_ppo, "smollm2-dapo"),
    (gym, "word_sort"),
    (overoptimisation, "other"),
    (reward_strategies, "staged"),
    (scaling, "2x33"),
    (scaling, "large"),
  ],
)
def test_an_unknown_name_is_refused_in_a_line(module, name):
  with pytest.raises(config.ConfigError, match=r"known are|expected"):
    module.get_config(name)


def test_strategies_have_one_budget_of_steps():
  totals = {
    sum(stage.steps for stage in reward_strategies.get_config(name).stages.values())
    for name in reward_strategies.STRATEGIES
  }
  assert len(totals) == 1


@pytest.mark.parametrize(
  ("said", "score"), [("042", 1), ("42", 0), ("0", 0), ("00", 0), ("0042", 0), ("", 0), ("0x", 0)]
)
def test_what_counts_as_padded(said, score):
  assert reward_strategies.padded("", said, {}) == score
