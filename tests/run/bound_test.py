"""A model's files that change under a run: with other tokens it would be another one."""

import os
import re

import pytest

from grpo_jax import config
from grpo_jax.run import loop
from tests.run import stages_test
from tests.weights.helpers import copy_of, edit_json


def _experiment(folder):
  found = stages_test.experiment({"rl": stages_test._grpo(steps=1)})
  found.model = config.Model(weights=str(folder))
  return found


def _template(folder):
  with open(os.path.join(folder, "chat_template.jinja"), "a", encoding="utf-8") as file:
    file.write("!")


def _vocabulary(folder):
  edit_json(folder, "tokenizer.json", normalizer={"type": "Lowercase"})


@pytest.mark.fault(24)
def test_another_tokenizer_or_template_is_refused_with_both_fingerprints(tmp_path):
  run = str(tmp_path / "run")
  loop.run(_experiment(copy_of("llama", tmp_path)), run, say=lambda _: None)
  loop.run(_experiment(tmp_path / "llama"), run, say=lambda _: None)
  told = set()
  for change in (_template, _vocabulary):
    change(str(tmp_path / "llama"))
    with pytest.raises(config.ConfigError, match="another tokenizer or chat template") as error:
      loop.run(_experiment(tmp_path / "llama"), run, say=lambda _: None)
    before, now = re.findall(r"[0-9a-f]{12}(?=\.\.\.)", str(error.value))
    told |= {before, now}
  assert len(told) == 3
  assert len(stages_test.places(run)) == 1


@pytest.mark.fault(24)
def test_a_note_that_cannot_be_read_is_one_line(tmp_path):
  stages = {"rl": stages_test._grpo(steps=1)}
  (tmp_path / "bound.json").write_text("{")
  with pytest.raises(config.ConfigError, match=r"bound.json cannot be read \(JSONDecodeError"):
    stages_test.run(stages, tmp_path)
