"""Questions of one's own: every fault names its file and line."""

import json

import pytest

from grpo_jax import tasks
from grpo_jax.config import ConfigError, Questions


@pytest.fixture
def files(tmp_path):
  def write(train, held=None):
    rows = held or [{"question": "held?", "answer": "1"}]
    paths = tmp_path / "train.jsonl", tmp_path / "held.jsonl"
    for path, content in zip(paths, (train, rows), strict=True):
      if isinstance(content, bytes):
        path.write_bytes(content)
      else:
        path.write_text("".join(json.dumps(row) + "\n" for row in content))
    return Questions(train=str(paths[0]), held_out=str(paths[1]))

  return write


def _rows(count):
  return [{"question": f"q{i}", "answer": f"because #### 1,{i:03}"} for i in range(count)]


def test_an_epoch_asks_everything_once(files):
  task = tasks.build(files(_rows(10)))

  def asked(steps):
    return [e.messages[-1]["content"] for step in steps for e in task.sample(1, step, 5)]

  epochs = [asked(range(4)), asked(range(4, 8))]
  for questions in epochs:
    assert sorted(questions[:10]) == sorted(questions[10:]) == [f"q{i}" for i in range(10)]
  assert epochs[0][:10] != epochs[0][10:]


def test_the_answer_follows_its_marker(files):
  (example,) = tasks.build(files(_rows(1))).sample(0, 0, 1)
  assert example.fields["answer"] == "1000"
  assert example.solution == "because #### 1,000"


@pytest.mark.parametrize(
  ("content", "said"),
  [
    (b'{"question": "a", "answer": "1"}\n{"question"\n', "train.jsonl:2: broken JSON"),
    (b'{"question": "a"}\n', "train.jsonl:1: expected a JSON object with text in 'question'"),
    (b"[1, 2]\n", "train.jsonl:1: expected a JSON object"),
    (b'{"question": "a", "answer": "\xff"}\n', "not UTF-8"),
    (b"", "no rows"),
    (b"\n\n", "no rows"),
  ],
)
def test_bad_files_are_one_line(files, content, said):
  with pytest.raises(ConfigError) as error:
    tasks.build(files(content))
  assert said in str(error.value)
  assert "\n" not in str(error.value)


def test_a_missing_file_and_an_overlap_are_refused(files):
  with pytest.raises(ConfigError, match="No such file"):
    tasks.build(Questions(train="nowhere.jsonl", held_out="nowhere.jsonl"))
  with pytest.raises(ConfigError, match="1 questions stand in"):
    tasks.build(files(_rows(2), [{"question": " q1 ", "answer": "x"}]))
