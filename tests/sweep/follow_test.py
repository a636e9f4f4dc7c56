"""A file of figures that grows, is cut and is torn."""

import math
import os

from grpo_jax.sweep.follow import Follower, figure, last


def test_lines_come_when_they_are_whole(tmp_path):
  path = tmp_path / "metrics.jsonl"
  follower = Follower(str(path))
  assert follower.new() == []
  path.write_text('{"stage": "a", "step": 1}\n{"stage": "a", "st')
  assert [line["step"] for line in follower.new()] == [1]
  assert follower.new() == []
  with open(path, "a") as file:
    file.write('ep": 2}\n')
  assert [line["step"] for line in follower.new()] == [2]


def test_a_resumed_run_that_replaces_the_file_is_followed(tmp_path):
  path, other = tmp_path / "metrics.jsonl", tmp_path / "other"
  path.write_text('{"step": 1}\n{"step": 2}\n')
  follower = Follower(str(path))
  follower.new()
  other.write_text('{"step": 1}\n{"step": 3}\n{"step": 4}\n')
  os.replace(other, path)
  assert [line["step"] for line in follower.new()] == [1, 3, 4]


def test_null_is_nan_and_the_last_line_that_has_the_figure_counts(tmp_path):
  path = tmp_path / "metrics.jsonl"
  path.write_text('{"step": 1, "x": 0.5}\n{"step": 2, "y": 1}\nnoise\n')
  assert last(str(path), "x") == (0.5, {"x", "y"})
  assert last(str(path), "z") == (None, {"x", "y"})
  path.write_text('{"step": 1, "x": 0.5}\n{"step": 2, "x": null}\n')
  value, _ = last(str(path), "x")
  assert value is not None
  assert math.isnan(value)
  assert figure({"step": 1}, "x") is None
