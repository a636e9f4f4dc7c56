"""Files of rows: read through once, held as an index, split without overlap, broken rows told."""

import collections
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_jax import tasks
from grpo_jax.config import ConfigError, Questions
from grpo_jax.tasks.apart import in_share, key_of
from grpo_jax.tasks.deal import step_order
from grpo_jax.tasks.index import index_rows
from grpo_jax.tasks.rows import step_rows

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def _rows(count, prefix="q"):
  return [{"question": f"{prefix}{i}", "answer": str(i), "more": [i]} for i in range(count)]


def _jsonl(path, rows) -> str:
  path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
  return str(path)


def _parquet(path, rows, **fields) -> str:
  parquet.write_table(pyarrow.Table.from_pylist(rows), path, **fields)
  return str(path)


@pytest.fixture(params=["jsonl", "parquet"])
def write(request, tmp_path):
  def make(rows, name="train"):
    if request.param == "jsonl":
      return _jsonl(tmp_path / f"{name}.jsonl", rows)
    return _parquet(tmp_path / f"{name}.parquet", rows, row_group_size=7)

  return make


def _asked(task, steps, count=5):
  return [e.question for step in steps for e in task.sample(1, step, count)]


def test_an_epoch_asks_every_row_once(write):
  held = write(_rows(3, "h"), "held")
  task = tasks.build(Questions(train=write(_rows(40)), held_out=held))
  epochs = [_asked(task, range(8)), _asked(task, range(8, 16))]
  for epoch in epochs:
    assert sorted(epoch) == sorted(f"q{i}" for i in range(40))
  assert epochs[0] != epochs[1]
  assert task.sample(1, 3, 5) == task.sample(1, 3, 5)
  (example,) = task.sample(0, 0, 1)
  assert example.fields["more"] == [int(example.fields["answer"])]


def test_without_a_second_file_a_share_is_held_out_by_the_question(write):
  config = Questions(train=write(_rows(400)), held_out_share=0.25)
  task = tasks.build(config)
  wanted = [f"q{i}" for i in range(400) if in_share(key_of(f"q{i}"), 0.25)]
  assert [e.question for e in task.held_out(len(wanted))] == wanted
  assert 60 < len(wanted) < 140
  epoch = set(_asked(task, range((400 - len(wanted)) // 5)))
  assert not epoch & set(wanted)
  assert all(map(task.is_held, wanted))
  assert not any(map(task.is_held, epoch))
  with pytest.raises(ConfigError, match=r"has \d+ questions in held_out_share=0.25"):
    task.held_out(399)


def test_the_same_question_twice_is_on_one_side(write):
  """By its words, not by its row."""
  rows = [row | {"question": f"  {row['question']}\n"} for row in _rows(60)] + _rows(60)
  task = tasks.build(Questions(train=write(rows), held_out_share=0.3))
  asked = {question.strip() for question in _asked(task, range(16))}
  held = {e.question.strip() for e in task.held_out(20)}
  assert not asked & held


def test_a_share_that_holds_out_nothing_or_all_is_said(write):
  path = write(_rows(2))
  with pytest.raises(ConfigError, match="of 2 rows none is held out"):
    tasks.build(Questions(train=path, held_out_share=1e-9))
  with pytest.raises(ConfigError, match="of 2 rows none is trained on"):
    tasks.build(Questions(train=path, held_out_share=0.999999))


def test_bad_rows_end_the_run_or_are_left_out_and_counted(tmp_path):
  rows = [*_rows(5), "{", {"question": "x"}, {"question": "y", "answer": " "}, *_rows(5, "r")]
  path = _jsonl(tmp_path / "train.jsonl", rows)
  held = _jsonl(tmp_path / "held.jsonl", _rows(2, "h"))
  with pytest.raises(ConfigError, match=rf"{path}:6: broken JSON"):
    tasks.build(Questions(train=path, held_out=held))
  task = tasks.build(Questions(train=path, held_out=held, on_bad_row="skip"))
  assert len(set(_asked(task, range(2)))) == 10
  (note,) = task.notes
  assert note.startswith(f"{path}: 3 rows were left out, the first: {path}:6: broken JSON")
  path = _jsonl(tmp_path / "none.jsonl", ["{", "[]"])
  with pytest.raises(ConfigError, match=r"no rows that can be used; 2 were left out, the first"):
    tasks.build(Questions(train=path, held_out=held, on_bad_row="skip"))


def test_bad_rows_of_parquet_are_counted_too(tmp_path):
  path = _parquet(tmp_path / "a.parquet", [*_rows(9), {"question": None, "answer": "1"}])
  with pytest.raises(ConfigError, match=rf"{path}:10: expected a JSON object"):
    tasks.build(Questions(train=path))
  task = tasks.build(Questions(train=path, on_bad_row="skip", held_out_share=0.3))
  assert "1 rows were left out" in task.notes[0]


def test_lines_keep_their_places(tmp_path):
  """Byte-order mark, blank lines, CRLF, and no newline at the end."""
  path = tmp_path / "a.jsonl"
  lines = [json.dumps(row).encode() for row in _rows(3)]
  path.write_bytes(b"\xef\xbb\xbf" + lines[0] + b"\r\n\n  \n" + lines[1] + b"\n" + lines[2])
  index = index_rows(str(path), "", lambda where, row: key_of(row["question"]))
  assert [row for _, row in index.read([2, 0, 1])] == [_rows(3)[i] for i in (2, 0, 1)]
  assert index.places[1] == 3 + len(lines[0]) + 6


def test_a_file_that_changes_during_the_run_is_told(write, tmp_path):
  path = write(_rows(40))
  task = tasks.build(Questions(train=path, held_out_share=0.2))
  write(_rows(41))
  with pytest.raises(ConfigError, match="has changed since the run began"):
    task.sample(0, 0, 2)


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 50))
def test_one_block_is_dealt_out_as_rows_are(total, count, step):
  assert step_order(np.array([0, total]), 3, step, count) == step_rows(total, 3, step, count)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(1, 9), st.integers(0, 9))
def test_blocks_are_dealt_out_one_after_another(sizes, count, epoch):
  blocks = np.cumsum([0, *sizes])
  total = int(blocks[-1])
  if total < count:
    return
  steps = total // count
  rows = [r for s in range(steps) for r in step_order(blocks, 0, epoch * steps + s, count)]
  assert len(set(rows)) == len(rows)
  owner = np.searchsorted(blocks, rows, side="right")
  assert len(list(_runs(owner))) == len(set(owner.tolist()))  # each block's rows stand together


def _runs(values):
  for before, value in zip([None, *values], values, strict=False):
    if before is None or before != value:
      yield value


def test_a_step_unpacks_few_row_groups(tmp_path):
  from grpo_jax.tasks import parquet as reader

  path = _parquet(tmp_path / "a.parquet", _rows(400), row_group_size=20)
  task = tasks.build(Questions(train=path, held_out_share=0.2))
  reader._group.cache_clear()
  for step in range(40):
    task.sample(0, step, 8)
  assert reader._group.cache_info().misses <= 25  # 20 groups; a few at the epoch's ends twice


def test_a_line_beyond_all_measure_is_refused_without_reading_it(tmp_path):
  path = tmp_path / "a.jsonl"
  path.write_bytes(b'{"question": "q", "answer": "1"}\n')
  with open(path, "r+b") as file:
    file.truncate(1 << 35)
  with pytest.raises(ConfigError, match=rf"{path}:2: a line of more than 64 MiB"):
    tasks.build(Questions(train=str(path)))


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_file_larger_than_the_memory_is_read_row_by_row(tmp_path, kind):
  """150 MB of rows in a process that may take 60 MB more than it has when it begins."""
  rows = ({"question": f"q{i}", "answer": "1", "pad": "x" * 30_000} for i in range(5000))
  path = tmp_path / f"a.{kind}"
  if kind == "jsonl":
    with open(path, "w") as file:
      file.writelines(json.dumps(row) + "\n" for row in rows)
  else:
    schema = pyarrow.schema([("question", "string"), ("answer", "string"), ("pad", "string")])
    with parquet.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
      for _ in range(50):
        part = [next(rows) for _ in range(100)]
        writer.write_table(pyarrow.Table.from_pylist(part, schema=schema))
  code = (
    "import resource, sys\nfrom grpo_jax import config, tasks\nimport pyarrow.parquet\n"
    "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
    "before = peak()\n"
    "task = tasks.build(config.Questions(train=sys.argv[1]))\n"
    "seen = {e.question for step in range(100) for e in task.sample(0, step, 8)}\n"
    "print(len(seen), (peak() - before) // 1024)"
  )
  done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
  seen, grown = map(int, done.stdout.split())
  assert seen == 800
  assert grown < 60


def test_large_files_are_read_through_once_in_a_process(tmp_path, monkeypatch):
  from grpo_jax.tasks import files

  calls = collections.Counter()
  whole = files.index_rows
  monkeypatch.setattr(files, "_LARGE", 1)
  monkeypatch.setattr(
    files, "index_rows", lambda path, *a, **k: (calls.update([path]), whole(path, *a, **k))[1]
  )
  path = _jsonl(tmp_path / "a.jsonl", _rows(50))
  config = Questions(train=path, held_out_share=0.3)
  left, right = tasks.build(config), tasks.build(config)
  assert calls[path] == 1
  assert left.sample(0, 0, 5) == right.sample(0, 0, 5)
  tasks.build(Questions(train=path, held_out_share=0.4))
  assert calls[path] == 2
