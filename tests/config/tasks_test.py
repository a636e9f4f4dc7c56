"""Tasks that cannot work are refused in one line, and come back from JSON as they were."""

import dataclasses
import json

import pytest

from grpo_jax import config
from grpo_jax.config.saved import classes, rebuild
from tests.config.helpers import experiment, refused

_SUMS = config.Addition(low=0, high=9)


@pytest.mark.parametrize(
  ("task", "words"),
  [
    (config.Gym(fields={"seed": 1}), ["fields['seed'] is the run's"]),
    (config.Questions(), ["train must name"]),
    (config.Questions(train="a", held_out="b", held_out_share=0.5), ["held_out_share=0.5"]),
    (config.Choices(train="a", form="{question}"), ["must contain {question} and {options}"]),
    (config.Programs(train="a", form="do it"), ["must contain {question}"]),
    (config.Countdown(low=9, high=5), ["low=9 must be below high=5"]),
    (config.Countdown(question="?"), ["must contain {numbers} and {target}"]),
    (config.OwnTask(), ["file must name a Python file"]),
    (config.Mixture(), ["tasks is empty"]),
    (config.Mixture(tasks={"a/b": _SUMS}), ["tasks has 'a/b'"]),
    (config.Mixture(tasks={"a": _SUMS}, weights={"b": 1.0}), ["weights are of b, and tasks of a"]),
    (config.Mixture(tasks={"a": _SUMS}, weights={"a": 0.0}), ["not all 0"]),
    (config.Curriculum(task=_SUMS), ["levels is empty"]),
    (config.Curriculum(task=_SUMS, levels={"hihg": (1, 2)}), ["'hihg'", "did you mean 'high'"]),
    (config.Curriculum(task=_SUMS, levels={"high": (9,)}), ["2 on"]),
    (config.Curriculum(task=_SUMS, levels={"high": (9, 10), "low": (1,)}), ["as many"]),
    (config.Curriculum(task=_SUMS, levels={"high": (9, 10)}, start=2), ["start=2"]),
    (config.Curriculum(task=_SUMS, levels={"high": (9, 10)}, up=0.5, down=0.5), ["below up"]),
  ],
)
def test_what_cannot_work(task, words):
  refused(experiment(task=task), "config.task", *words)


def test_tasks_within_tasks_come_back_equal():
  ladder = config.Curriculum(task=config.Gym(name="chain_sum"), levels={"max_terms": (2, 3)})
  whole = config.Mixture(tasks={"gym": ladder, "sums": _SUMS}, weights={"gym": 2.0, "sums": 1.0})
  config.check(experiment(task=whole))
  saved = json.loads(json.dumps([dataclasses.asdict(whole), classes(whole)]))
  assert rebuild(*saved) == whole


def test_tasks_within_tasks_are_checked():
  bad = config.Mixture(tasks={"sums": config.Addition(low=-1)})
  refused(experiment(task=bad), "config.task.tasks.sums.low=-1")
