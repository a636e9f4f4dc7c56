"""metrics.jsonl, samples.jsonl and TensorBoard events: after a kill no step is lost or doubled."""

import json
import math
import os
import resource
import struct
import sys
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_jax.run.follower import Follower
from grpo_jax.run.writer import Writer

_STAGES = ["sft", "grpo"]


def _lines(folder, name="metrics"):
  """Each line parsed as strict JSON, which has no NaN."""

  def refuse(constant):
    raise AssertionError(f"{constant} is no JSON")

  text = (folder / f"{name}.jsonl").read_text()
  assert not text or text.endswith("\n")
  return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def _places(folder, name="metrics"):
  return [(line["stage"], line["step"]) for line in _lines(folder, name)]


def _write(writer, stage, steps):
  for step in steps:
    writer.write_metrics(stage, step, {"loss": step / 10})
    writer.write_samples(stage, step, [{"prompt": "a"}, {"prompt": "b"}])


def _interrupted(folder):
  """A run killed at step 4 of its second stage."""
  writer = Writer(str(folder), _STAGES)
  _write(writer, "sft", range(3))
  _write(writer, "grpo", range(5))
  writer.close()


def test_a_line_has_its_place_first_and_its_figures_by_name(tmp_path):
  writer = Writer(str(tmp_path), _STAGES)
  writer.write_metrics("sft", 7, {"z": 1.0, "a": 0.5, "m": math.nan, "b": math.inf})
  # Without close(): a kill takes nothing that was written.
  (line,) = _lines(tmp_path)
  assert line == {"stage": "sft", "step": 7, "a": 0.5, "b": None, "m": None, "z": 1.0}
  assert list(line) == ["stage", "step", "a", "b", "m", "z"]


@pytest.mark.fault(35)
def test_samples_stay_valid_json(tmp_path):
  writer = Writer(str(tmp_path), _STAGES)
  record = {
    "completions": ["\ud800 alone", "new\nline", "\N{LINE SEPARATOR}"],
    "rewards": [math.nan],
  }
  writer.write_samples("grpo", 2, [record, {"prompt": "second"}])
  first, second = _lines(tmp_path, "samples")
  assert first == {"stage": "grpo", "step": 2} | record | {"rewards": [None]}
  assert second["prompt"] == "second"


@pytest.mark.fault(32)
@pytest.mark.parametrize(
  ("stage", "step", "kept"),
  [
    ("grpo", 2, [("sft", 0), ("sft", 1), ("sft", 2), ("grpo", 0), ("grpo", 1), ("grpo", 2)]),
    ("grpo", 9, [("sft", 0), ("sft", 1), ("sft", 2), *(("grpo", step) for step in range(5))]),
    # A later stage is after an earlier one, whatever their steps.
    ("sft", 1, [("sft", 0), ("sft", 1)]),
    (None, 0, []),
  ],
)
def test_a_resume_cuts_both_files_behind_the_checkpoint(tmp_path, stage, step, kept):
  _interrupted(tmp_path)
  Writer(str(tmp_path), _STAGES, stage, step).close()
  assert _places(tmp_path) == kept
  assert _places(tmp_path, "samples") == [place for place in kept for _ in range(2)]


@pytest.mark.parametrize(("stage", "step"), [("grpo", 2), ("sft", 1), (None, 0)])
def test_a_process_that_writes_nothing_remembers_the_same_lines(tmp_path, stage, step):
  """Of what was there, whoever is first to look, and of what comes."""
  _interrupted(tmp_path)
  early = Follower(str(tmp_path), _STAGES, stage, step)
  writer = Writer(str(tmp_path), _STAGES, stage, step)
  late = Follower(str(tmp_path), _STAGES, stage, step)
  for each in (early, writer, late):
    each.write_metrics("grpo", 3, {"loss": math.nan, "a": 1.0})
  for name in _STAGES:
    lines = list(writer.metrics(name))
    assert list(early.metrics(name)) == list(late.metrics(name)) == lines
    assert list(late.samples(name)) == list(writer.samples(name))
  assert len(list(writer.metrics("grpo"))) > 0
  late.write_samples("grpo", 3, [{"prompt": "a"}])
  late.close()
  assert len(list(writer.samples("grpo"))) == len(list(late.samples("grpo")))


@pytest.mark.fault(32)
@pytest.mark.parametrize("torn", [1, 5, 20])
def test_a_torn_last_line_is_dropped(tmp_path, torn):
  _interrupted(tmp_path)
  path = tmp_path / "metrics.jsonl"
  path.write_bytes(path.read_bytes() + b'{"stage": "grpo", "step": 5, "loss": 0.5}'[:torn])
  writer = Writer(str(tmp_path), _STAGES, "grpo", 4)
  _write(writer, "grpo", [5])
  writer.close()
  assert _places(tmp_path)[-2:] == [("grpo", 4), ("grpo", 5)]


@pytest.mark.fault(32)
def test_a_last_line_without_its_newline_does_not_swallow_the_next(tmp_path):
  _interrupted(tmp_path)
  path = tmp_path / "metrics.jsonl"
  path.write_bytes(path.read_bytes()[:-1])
  writer = Writer(str(tmp_path), _STAGES, "grpo", 4)
  _write(writer, "grpo", [5])
  writer.close()
  assert _places(tmp_path)[-2:] == [("grpo", 4), ("grpo", 5)]


@pytest.mark.fault(32)
@given(cut=st.integers(0, 400), step=st.integers(0, 4))
def test_wherever_the_kill_falls_the_run_can_go_on(tmp_path_factory, cut, step):
  """What stands before the tear and up to the checkpoint is kept, and the rest is written again."""
  folder = tmp_path_factory.mktemp("run")
  lines = b"".join(b'{"stage": "grpo", "step": %d}\n' % i for i in range(10))
  (folder / "metrics.jsonl").write_bytes(lines[:cut])
  with mock.patch.dict(sys.modules, {"tensorboardX": None}):  # its threads are slow to end
    Writer(str(folder), _STAGES, "grpo", step).close()
  whole = (min(cut, len(lines)) + 1) // len(
    '{"stage": "grpo", "step": 0}\n'
  )  # the \n may be missing
  assert _places(folder) == [("grpo", i) for i in range(min(whole, step + 1))]


@pytest.mark.fault(45)
def test_a_line_that_cannot_be_written_is_told_and_what_stands_there_stays(tmp_path):
  """The file may not grow, as on a full disk; on the resume it may."""
  _interrupted(tmp_path)
  writer = Writer(str(tmp_path), _STAGES, "grpo", 4)
  size = os.path.getsize(tmp_path / "metrics.jsonl")
  _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, hard))
  try:
    with pytest.raises(RuntimeError, match=r"metrics.jsonl cannot be written: File too large: the"):
      writer.write_metrics("grpo", 5, {"loss": 0.5})
    writer.close()
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
  Writer(str(tmp_path), _STAGES, "grpo", 4).write_metrics("grpo", 5, {"loss": 0.5})
  assert _places(tmp_path)[-2:] == [("grpo", 4), ("grpo", 5)]


def _scalars(folder):
  """(step, value) of each scalar that TensorBoard would show, by tag.

  TensorBoard, too, reads the files in order of name, and forgets what stands at or after the step
  of a session's start.
  """
  event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
  shown = {}
  for path in sorted(folder.glob("events.*")):
    content, at = path.read_bytes(), 0
    while at < len(content):  # TFRecord: length u64, its crc u32, the record, its crc u32
      (length,) = struct.unpack_from("<Q", content, at)
      event = event_pb2.Event.FromString(content[at + 12 : at + 12 + length])
      at += length + 16
      if event.session_log.status == event_pb2.SessionLog.START:
        shown = {tag: [p for p in points if p[0] < event.step] for tag, points in shown.items()}
      for value in event.summary.value:
        shown.setdefault(value.tag, []).append((event.step, round(value.simple_value, 6)))
  return shown


@pytest.mark.fault(32)
def test_tensorboard_shows_each_step_once_after_a_resume(tmp_path):
  _interrupted(tmp_path)
  writer = Writer(str(tmp_path), _STAGES, "grpo", 2)
  _write(writer, "grpo", [3, 4])
  writer.write_metrics("grpo", 5, {"loss": math.nan})
  writer.close()
  events = tmp_path / "tensorboard"
  assert _scalars(events / "sft") == {"loss": [(0, 0), (1, 0.1), (2, 0.2)]}
  assert _scalars(events / "grpo") == {"loss": [(0, 0), (1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4)]}


def test_tensorboard_forgets_the_later_stage_when_an_earlier_one_resumes(tmp_path):
  _interrupted(tmp_path)
  Writer(str(tmp_path), _STAGES, "sft", 1).close()
  assert _scalars(tmp_path / "tensorboard" / "sft") == {"loss": [(0, 0), (1, 0.1)]}
  assert not any(_scalars(tmp_path / "tensorboard" / "grpo").values())


@pytest.mark.fault(44)
def test_without_tensorboardx_a_run_is_warned_once_and_goes_on(tmp_path, monkeypatch, caplog):
  monkeypatch.setitem(sys.modules, "tensorboardX", None)
  _interrupted(tmp_path)
  assert [r.getMessage() for r in caplog.records] == [
    "no TensorBoard events: pip install 'grpo_jax[report]'"
  ]
  assert len(_lines(tmp_path)) == 8
  assert not (tmp_path / "tensorboard").exists()


@pytest.mark.fault(23)
def test_events_that_cannot_be_written_stop_nothing(tmp_path, caplog):
  pytest.importorskip("tensorboardX")
  (tmp_path / "tensorboard").write_text("a file where the folder should be")
  _interrupted(tmp_path)
  assert "no TensorBoard events in" in caplog.text
  assert len(_lines(tmp_path)) == 8
