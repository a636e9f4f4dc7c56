"""Parquet files say what JSONL files say, and their faults are one line too."""

import contextlib
import json
import os
import subprocess
import sys

import pytest

from grpo_jax import tasks
from grpo_jax.config import ConfigError, Questions
from grpo_jax.tasks.sides import read_file

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

_ROWS = [{"question": f"q{i}?", "answer": str(i), "extra": [{"a": i}]} for i in range(5)]


def read_rows(path, expected, columns=None):
  return read_file(path, expected, lambda where, row: (where, row), columns=columns)[0]


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


@pytest.mark.fault(20)
def test_a_parquet_file_that_is_none_or_is_cut(tmp_path):
  path = tmp_path / "a.parquet"
  path.write_bytes(b"{}")
  assert "broken Parquet" in _refused(path)
  _parquet(path)
  whole = path.read_bytes()
  path.write_bytes(whole[: len(whole) // 2])
  assert "broken Parquet" in _refused(path)


@pytest.mark.fault(20)
def test_what_is_not_in_a_parquet_file(tmp_path):
  path = tmp_path / "a.parquet"
  assert "No such file" in _refused(path)
  assert "Is a directory" in _refused(tmp_path)
  _parquet(path)
  assert "found 'question', 'answer', 'extra'" in _refused(path, ["text"])
  parquet.write_table(pyarrow.table({"text": pyarrow.array([], pyarrow.string())}), path)
  assert "no rows" in _refused(path)


@pytest.mark.fault(44)
def test_parquet_without_its_library_says_what_to_install(tmp_path, monkeypatch):
  path = _parquet(tmp_path / "a.parquet")
  monkeypatch.setitem(sys.modules, "pyarrow", None)
  with pytest.raises(ConfigError, match=r"needs pyarrow: pip install 'grpo_jax\[data\]'"):
    read_rows(path, "")


# --- what fuzzing found


@pytest.mark.parametrize(
  "column",
  [
    pyarrow.array([2**62], pyarrow.timestamp("us")),
    pyarrow.array([2**30], pyarrow.date32()),
    pyarrow.StructArray.from_arrays([pyarrow.array(["x"])] * 2, names=["a", "a"]),
    pyarrow.array([b"\xff"]).view(pyarrow.string()),
  ],
)
def test_values_that_python_has_none_of(tmp_path, column):
  path = tmp_path / "a.parquet"
  parquet.write_table(pyarrow.table({"a": column}), path)
  assert "broken Parquet" in _refused(path)


def test_what_arrow_says_is_one_plain_line(tmp_path):
  """Of a damaged header it speaks in several lines, with the byte that it found."""
  _parquet(path := tmp_path / "a.parquet")
  whole = path.read_bytes()
  footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
  refused = 0
  for at in range(footer, footer + 60):
    for byte in (b"\x0e", b"\x1b", b"\xff"):
      path.write_bytes(whole[:at] + byte + whole[at + 1 :])
      with contextlib.suppress(ConfigError):
        read_rows(str(path), "expected this")
        continue
      assert _refused(path).isprintable()
      refused += 1
  assert refused > 50


@pytest.mark.fault(20)
@pytest.mark.parametrize(
  "column",
  [pyarrow.nulls(10**7, pyarrow.string()), pyarrow.array(["x" * 10**6] * 1000)],
  ids=["rows", "texts"],
)
def test_a_few_kilobytes_that_unpack_to_gigabytes(tmp_path, column):
  path = tmp_path / "a.parquet"
  parquet.write_table(pyarrow.table({"a": column}), path, compression="zstd")
  assert path.stat().st_size < 2_000_000
  assert "unpack to more than" in _refused(path)


def test_a_text_that_repeats_is_no_bomb(tmp_path):
  rows = [{"question": "the same for all " * 20, "answer": "1"}] * 20_000
  assert len(read_rows(_parquet(tmp_path / "a.parquet", rows), "")) == 20_000


def test_types_that_unpickle_are_not_followed(tmp_path):
  """What CVE-2023-47248 was: an extension type of Arrow whose description is a pickle."""
  canary = tmp_path / "canary"
  pickle = b"cos\nmkdir\n(S'" + str(canary).encode() + b"'\ntR."
  described = {"ARROW:extension:name": "arrow.py_extension_type"}
  described |= {"ARROW:extension:metadata": pickle}
  field = pyarrow.field("a", pyarrow.string(), metadata=described)
  path = tmp_path / "a.parquet"
  parquet.write_table(pyarrow.table([pyarrow.array(["x"])], schema=pyarrow.schema([field])), path)
  assert read_rows(str(path), "") == [(f"{path}:1", {"a": "x"})]
  assert not canary.exists()


def test_a_line_that_is_larger_than_a_row_may_be(tmp_path):
  """A file of holes: 32 GB and no end of a line."""
  path = tmp_path / "a.jsonl"
  path.touch()
  os.truncate(path, 2**35)
  assert "a.jsonl:1: a line of more than 64 MiB" in _refused(path)


def test_more_than_the_memory_is_one_line(tmp_path):
  """In a process that may not have so much."""
  path = tmp_path / "a.jsonl"
  path.write_text(json.dumps({"a": "x" * 2**20}) + "\n")
  code = (
    "import resource, sys; from grpo_jax import config\n"
    "from grpo_jax.tasks.sides import read_file\n"
    "resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))\n"
    "try: read_file(sys.argv[1], 'expected this', lambda where, row: [row] * 2**32)\n"
    "except config.ConfigError as error: print(error)"
  )
  done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
  assert f"{path}: its rows do not fit into memory" in done.stdout
