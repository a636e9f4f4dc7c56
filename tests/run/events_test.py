"""TensorBoard events: written at once, and no fault of theirs stops or blocks a run."""

import logging

import pytest

from grpo_jax.run.events import Events

event_file_writer = pytest.importorskip("tensorboardX.event_file_writer")


def _sizes(folder):
  return sum(path.stat().st_size for path in folder.rglob("events.*"))


def test_a_step_is_on_disk_when_written(tmp_path):
  """A checkpoint must not be ahead of the events: a resume does not draw them again."""
  events, before = Events(str(tmp_path), ["sft"], None, 0), _sizes(tmp_path)
  events.write("sft", 1, {"loss": 1.0})
  assert _sizes(tmp_path) > before


def test_two_starts_within_a_second_keep_two_files(tmp_path):
  for step in range(3):
    Events(str(tmp_path), ["sft"], "sft", step).close()
  assert len(list(tmp_path.rglob("events.*"))) == 3


def test_stages_that_are_over_are_left_alone(tmp_path):
  Events(str(tmp_path), ["sft", "grpo", "more"], "grpo", 3).close()
  assert sorted(path.name for path in tmp_path.iterdir()) == ["grpo", "more"]


def _full(*_):
  raise OSError(28, "No space left on device")


@pytest.mark.fault(23)
@pytest.mark.parametrize("failing", ["write_event", "flush"])
def test_a_full_disk_is_told_once_and_blocks_nothing(tmp_path, monkeypatch, caplog, failing):
  """As many steps as would fill the queue of a writer with a thread."""
  events = Events(str(tmp_path), ["sft", "grpo"], None, 0)
  monkeypatch.setattr(event_file_writer.EventsWriter, failing, _full)
  for step in range(30):
    events.write("sft", step, {"loss": 1.0})
  events.write("grpo", 0, {"loss": 1.0})
  events.close()
  (record,) = caplog.records
  assert record.levelno == logging.WARNING
  assert "No space left on device" in record.getMessage()


@pytest.mark.fault(23)
def test_a_disk_that_is_full_from_the_start(tmp_path, monkeypatch, caplog):
  monkeypatch.setattr(event_file_writer.EventsWriter, "flush", _full)
  events = Events(str(tmp_path), ["sft", "grpo"], None, 0)
  events.write("sft", 1, {"loss": 1.0})
  events.close()
  assert len(caplog.records) == 1


def test_a_protobuf_of_another_generation_is_told_in_one_line(tmp_path, monkeypatch, caplog):
  def broken(name, *arguments):
    if name.startswith("tensorboardX"):
      raise TypeError("Descriptors cannot be created directly.\nIf this call came from ...")
    return imported(name, *arguments)

  imported = __import__
  monkeypatch.setattr("builtins.__import__", broken)
  events = Events(str(tmp_path), ["sft"], None, 0)
  events.write("sft", 1, {"loss": 1.0})
  events.close()
  (record,) = caplog.records
  assert "Descriptors cannot be created" in record.getMessage()
  assert "\n" not in record.getMessage()
