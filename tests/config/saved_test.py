"""Configs as JSON, and back."""

import dataclasses
import glob
import json
import runpy

import pytest

from grpo_jax.config import GRPO, ConfigError, Experiment, Term
from grpo_jax.config.saved import classes, rebuild

FILES = sorted(glob.glob("experiments/configs/*.py"))


def _again(config):
  saved = json.loads(json.dumps([dataclasses.asdict(config), classes(config)]))
  return rebuild(*saved)


@pytest.mark.parametrize("file", [f for f in FILES if not f.endswith("__init__.py")])
def test_every_experiment_comes_back_equal(file):
  config = runpy.run_path(file)["get_config"]()

  assert isinstance(config, Experiment)
  assert _again(config) == config


def test_classes_below_dicts_come_back():
  stage = GRPO(rewards={"number": 1.0, "brevity": Term(weight=0.5)})

  assert _again(stage) == stage
  assert isinstance(_again(stage).rewards["brevity"], Term)


def test_a_class_or_field_that_is_not_known_is_one_line():
  with pytest.raises(ConfigError, match="config is a 'Popen', which this version does not know"):
    rebuild({"args": "true"}, {"config": "Popen"})
  with pytest.raises(ConfigError, match="config has colour, which this version does not know"):
    rebuild({"colour": 1}, {"config": "Term"})
