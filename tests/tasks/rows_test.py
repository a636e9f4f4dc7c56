"""Parquet files say what JSONL files say, and their faults are one line too."""

import json
import sys

import pytest

from grpo_jax import tasks
from grpo_jax.config import ConfigError, Questions
from grpo_jax.tasks.rows import read_rows

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

_ROWS = [{"question": f"q{i}?", "answer": str(i), "extra": [{"a": i}]} for i in range(5)]


def _parquet(path, rows=_ROWS, **fields) -> str:
  parquet.write_table(pyarrow.Table.from_pylist(rows), path, **fields)
  return str(path)


def _jsonl(path, rows=_ROWS) -> str:
  path.write_text("".join(json.dumps(row) + "\n" for row in rows))
  return str(path)


def test_rows_are_the_same_in_both(tmp_path):
  left = read_rows(_jsonl(tmp_path / "a.jsonl"), "")
  right = read_rows(_parquet(tmp_path / "a.PARQUET", row_group_size=2), "")
  assert [row for _, row in left] == [row for _, row in right] == _ROWS
  assert [where.rsplit(":")[-1] for where, _ in left] == list("12345")
  assert [where.rsplit(":")[-1] for where, _ in right] == list("12345")


def test_only_the_columns_that_are_asked_for_are_read(tmp_path):
  rows = read_rows(_parquet(tmp_path / "a.parquet"), "", ["answer"])
  assert [row for _, row in rows] == [{"answer": row["answer"]} for row in _ROWS]


def test_questions_may_be_parquet(tmp_path):
  config = Questions(
    train=_parquet(tmp_path / "train.parquet"),
    held_out=_jsonl(tmp_path / "held.jsonl", [{"question": "h?", "answer": "1"}]),
  )
  examples = tasks.build(config).sample(0, 0, 5)
  assert sorted(example.question for example in examples) == [row["question"] for row in _ROWS]


def _refused(path, columns=None) -> str:
  with pytest.raises(ConfigError) as error:
    read_rows(str(path), "expected this", columns)
  line = str(error.value)
  assert "\n" not in line
  assert "expected this" in line
  assert str(path) in line
  return line


def test_a_parquet_file_that_is_none_or_is_cut(tmp_path):
  path = tmp_path / "a.parquet"
  path.write_bytes(b"{}")
  assert "broken Parquet" in _refused(path)
  _parquet(path)
  whole = path.read_bytes()
  path.write_bytes(whole[: len(whole) // 2])
  assert "broken Parquet" in _refused(path)


def test_what_is_not_in_a_parquet_file(tmp_path):
  path = tmp_path / "a.parquet"
  assert "No such file" in _refused(path)
  assert "Is a directory" in _refused(tmp_path)
  _parquet(path)
  assert "found 'question', 'answer', 'extra'" in _refused(path, ["text"])
  parquet.write_table(pyarrow.table({"text": pyarrow.array([], pyarrow.string())}), path)
  assert "no rows" in _refused(path)


def test_parquet_without_its_library_says_what_to_install(tmp_path, monkeypatch):
  path = _parquet(tmp_path / "a.parquet")
  monkeypatch.setitem(sys.modules, "pyarrow", None)
  with pytest.raises(ConfigError, match=r"needs pyarrow: pip install 'grpo_jax\[data\]'"):
    read_rows(path, "")
