"""Multiple choice: the letters move, the right text stays right."""

import collections
import json

import pytest

from grpo_jax import tasks
from grpo_jax.config import Choices, ConfigError
from grpo_jax.rewards import resolve

_ROW = {"question": "Sky?", "choices": ["red", "blue", "green"], "answer": 1, "id": 7}


@pytest.fixture
def build(tmp_path):
  def make(row, **fields):
    path, held = tmp_path / "train.jsonl", tmp_path / "held.jsonl"
    path.write_text(json.dumps(row) + "\n")
    held.write_text(json.dumps(_ROW | {"question": "Grass?", "answer": "C"}) + "\n")
    return tasks.build(Choices(train=str(path), held_out=str(held), **fields))

  return make


@pytest.mark.parametrize("answer", [1, "B", "b", "blue"])
def test_the_letter_is_that_of_the_right_text(build, answer):
  task = build(_ROW | {"answer": answer})
  seen = collections.Counter()
  for step in range(60):
    (example,) = task.sample(0, step, 1)
    letter = example.fields["answer"]
    assert f"{letter}. blue" in example.question
    assert example.fields["options"]["ABC".index(letter)] == "blue"
    assert resolve("choice")("", letter, example.fields) == 1
    assert example.solution == letter
    seen[letter] += 1
  assert min(seen[letter] for letter in "ABC") > 8  # twenty are expected: 3.3 deviations
  assert example.fields["id"] == 7


def test_the_order_follows_from_the_seed_and_the_step(build):
  task = build(_ROW)
  assert task.sample(3, 4, 1) == task.sample(3, 4, 1)
  assert {task.sample(s, 0, 1)[0].question for s in range(20)} != {task.sample(0, 0, 1)[0].question}
  assert task.held_out(1) == build(_ROW).held_out(1)


def test_the_form_is_filled_in(build):
  task = build(_ROW, form="{options} | {question}", system="Hm.")
  (example,) = task.held_out(1)
  assert example.question.endswith(" | Grass?")
  assert example.messages[0]["content"] == "Hm."
  assert task.is_held("Grass?")
  assert not task.is_held("Sky?")


@pytest.mark.parametrize(
  ("change", "said"),
  [
    ({"choices": ["one"]}, "'choices' is no list of 2 to 26 texts"),
    ({"choices": "red, blue"}, "'choices' is no list"),
    ({"choices": ["red", 2]}, "'choices' is no list"),
    ({"choices": ["red", "red"]}, "'choices' has a text twice"),
    ({"answer": 3}, "'answer' is '3', no option"),
    ({"answer": -1}, "no option"),
    ({"answer": True}, "'answer' is 'True', no option"),
    ({"answer": "D"}, "no option"),
    ({"question": ""}, "'question' is empty"),
    ({"question": 3}, "expected a JSON object with text in 'question'"),
  ],
)
def test_each_fault_names_its_row(build, change, said):
  with pytest.raises(ConfigError, match=rf"train.jsonl:1: .*{said}"):
    build(_ROW | change)
