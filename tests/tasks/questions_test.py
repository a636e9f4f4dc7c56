"""Questions of one's own: every fault names its file and line."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_jax import tasks
from grpo_jax.config import ConfigError, Questions
from grpo_jax.tasks.rows import step_rows


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


def test_a_step_is_the_same_in_another_process(files):
  config = files(_rows(30))
  code = (
    "import sys; from grpo_jax import config, tasks;"
    " task = tasks.build(config.Questions(train=sys.argv[1], held_out=sys.argv[2]));"
    " print([example.messages for example in task.sample(4, 7, 5)])"
  )
  command = [sys.executable, "-c", code, config.train, config.held_out]
  output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
  assert output.strip() == str([e.messages for e in tasks.build(config).sample(4, 7, 5)])


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 99), st.integers(0, 3))
def test_no_step_asks_a_row_twice_while_there_are_others(total, count, step, seed):
  """Pitfall 24: also not where one epoch ends and the next begins."""
  rows = step_rows(total, seed, step, count)
  assert len(rows) == count
  assert len(set(rows)) == min(total, count)
  assert rows == step_rows(total, seed, step, count)


def test_rows_left_over_by_an_epoch_are_asked_in_others():
  asked = {row for step in range(20) for row in step_rows(7, 0, step, 4)}
  assert asked == set(range(7))


@pytest.mark.parametrize(
  ("column", "answer"),
  [
    ("so #### 1,234", "1234"), ("a #### b #### -1,000.5", "-1000.5"), ("#### $1,000", "$1000"),
    ("#### 1, 2, 3", "1, 2, 3"), ("no marker", "no marker"), (46, "46"), (4.5, "4.5"),
  ],
)  # fmt: skip
def test_what_counts_as_the_answer(files, column, answer):
  row = {"question": "q", "answer": column, "level": 3}
  (example,) = tasks.build(files([row])).sample(0, 0, 1)
  assert example.fields == {"answer": answer, "level": 3}
  assert example.solution == str(column)


def test_a_byte_order_mark_is_no_part_of_the_data(files):
  content = b'\xef\xbb\xbf{"question": "a\xe2\x80\xa8b", "answer": "1"}\r\n'
  (example,) = tasks.build(files(content)).sample(0, 0, 1)
  assert example.messages[-1]["content"] == "a\u2028b"


def test_the_answer_follows_its_marker(files):
  (example,) = tasks.build(files(_rows(1))).sample(0, 0, 1)
  assert example.fields["answer"] == "1000"
  assert example.solution == "because #### 1,000"


@pytest.mark.fault(20)
@pytest.mark.parametrize(
  ("content", "said"),
  [
    (b'{"question": "a", "answer": "1"}\n{"question"\n', "train.jsonl:2: broken JSON"),
    (b'{"question": "a"}\n', "train.jsonl:1: expected a JSON object with text in 'question'"),
    (b"[1, 2]\n", "train.jsonl:1: expected a JSON object"),
    (b'{"question": "a", "answer": "\xff"}\n', "not UTF-8"),
    (b'{"question": "a", "answer": "1"}\n\n{"question": "\xff"}\n', "train.jsonl:3: not UTF-8"),
    (b'{"question": "\\ud800", "answer": "1"}\n', "train.jsonl:1: not UTF-8"),
    (b'{"prompt": "a", "target": "1"}\n', "found 'prompt', 'target'"),
    (b'{"question": " ", "answer": "1"}\n', "train.jsonl:1: 'question' is empty"),
    (b'{"question": "a", "answer": "so #### "}\n', "train.jsonl:1: 'answer' is empty"),
    (b'{"question": "a", "answer": null}\n', "train.jsonl:1: expected"),
    (b'{"question": "a", "answer": true}\n', "train.jsonl:1: expected"),
    (b'{"question": "a", "answer": NaN}\n', "train.jsonl:1: expected"),
    (b'{"question": "a", "answer": 1e999}\n', "train.jsonl:1: expected"),
    (b'{"question": "a", "answer": ' + b"9" * 5000 + b"}\n", "train.jsonl:1: broken JSON"),
    (b"[" * 100_000, "train.jsonl:1: broken JSON"),
    (b"", "no rows"),
    (b"\n\n", "no rows"),
  ],
)
def test_bad_files_are_one_line(files, content, said):
  with pytest.raises(ConfigError) as error:
    tasks.build(files(content))
  assert said in str(error.value)
  assert "\n" not in str(error.value)


@pytest.mark.fault(20)
def test_a_missing_file_and_an_overlap_are_refused(files):
  with pytest.raises(ConfigError, match="No such file"):
    tasks.build(Questions(train="nowhere.jsonl", held_out="nowhere.jsonl"))
  with pytest.raises(ConfigError, match=r"problems=2, but .* has 1 questions"):
    tasks.build(files(_rows(1))).held_out(2)
  with pytest.raises(ConfigError, match="1 questions stand in"):
    tasks.build(files(_rows(2), [{"question": " q1 ", "answer": "x"}]))
