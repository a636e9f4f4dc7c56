"""Trackers beside metrics.jsonl: what they are given, resumes, and faults that stop nothing."""

import json
import sys
import threading

import pytest

from grpo_jax.config import ConfigError
from grpo_jax.run.trackers import Tracking, check_trackers, start_trackers
from grpo_jax.run.trackers import all as trackers
from grpo_jax.run.trackers.courier import Courier
from grpo_jax.run.writer import Writer
from tests.run import stages_test as small

_STAGES = ["sft", "grpo"]
_ASKED = Tracking(["wandb"], "project")


class _Store:
  """A tracker whose runs stay in memory."""

  def __init__(self):
    self.about, self.lines, self.ends, self.begun = {}, {}, [], []

  def begin(self, about, known):
    store = self

    class Run:
      def __init__(self):
        self.known = known or f"run-{len(store.lines)}"
        store.begun.append(self.known)
        store.about[self.known] = about
        store.lines.setdefault(self.known, [])

      def write(self, step, figures):
        store.lines[self.known].append((step, figures))

      def close(self, *, whole):
        store.ends.append(whole)

    return Run()


@pytest.fixture
def store(monkeypatch):
  found = _Store()
  monkeypatch.setitem(trackers._BEGIN, "wandb", found.begin)
  return found


def _experiment():
  return small.experiment({"sft": small._sft(steps=3), "grpo": small._grpo(steps=5)})


def _writer(folder, stage=None, step=0, tracking=_ASKED):
  begun = start_trackers(tracking, _experiment(), str(folder))
  return Writer(str(folder), _STAGES, stage, step, begun)


def test_figures_have_their_stage_and_steps_are_counted_through_all(tmp_path, store):
  writer = _writer(tmp_path)
  writer.write_metrics("sft", 3, {"loss/sft": 0.5, "train/x": float("nan")})
  writer.write_metrics("grpo", 1, {"reward/mean": 1.0})
  writer.write_metrics("grpo", 1, {"eval/accuracy": 0.25})
  writer.close()
  assert store.lines["run-0"] == [
    (3, {"sft/loss/sft": 0.5}),
    (4, {"grpo/reward/mean": 1.0}),
    (4, {"grpo/eval/accuracy": 0.25}),
  ]
  assert store.ends == [True]


def test_a_run_is_known_by_its_folder_and_has_every_field(tmp_path, store):
  _writer(tmp_path, tracking=Tracking(["wandb"], "project", "group")).close(whole=False)
  about = store.about["run-0"]
  assert (about.project, about.name, about.group) == ("project", tmp_path.name, "group")
  assert about.config["stages.grpo.steps"] == 5
  assert about.config["seed"] == 0
  assert not any(isinstance(value, dict) and value for value in about.config.values())
  assert store.ends == [False]


def test_a_resumed_run_goes_on_with_the_same(tmp_path, store):
  """What is taken again is given again: a tracker may have lost the last seconds before a kill."""
  first = _writer(tmp_path)
  for step in range(1, 4):
    first.write_metrics("grpo", step, {"loss": step})
  first.close(whole=False)
  again = _writer(tmp_path, "grpo", 1)
  for step in range(2, 5):
    again.write_metrics("grpo", step, {"loss": step})
  again.close()
  assert store.begun == ["run-0", "run-0"]
  assert [step for step, _ in store.lines["run-0"]] == [4, 5, 6, 5, 6, 7]
  assert store.ends == [False, True]


@pytest.mark.fault(23)
def test_one_that_cannot_begin_is_told_and_the_others_go_on(tmp_path, store, monkeypatch, caplog):
  def refuse(about, known):
    raise ConnectionError("no route\nto host")

  monkeypatch.setitem(trackers._BEGIN, "mlflow", refuse)
  writer = _writer(tmp_path, tracking=Tracking(["mlflow", "wandb"]))
  writer.write_metrics("sft", 1, {"loss": 1})
  writer.close()
  (record,) = caplog.records
  assert record.getMessage() == (
    "--tracker=mlflow: not begun, and the run goes on without: no route to host"
  )
  assert len(store.lines["run-0"]) == 1
  assert json.loads((tmp_path / "trackers.json").read_text()) == {"wandb": "run-0"}


@pytest.mark.fault(23)
def test_one_that_fails_is_told_once_and_stops_nothing(tmp_path, store, monkeypatch, caplog):
  def failing(about, known):
    run = store.begin(about, known)
    run.write = lambda step, figures: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    return run

  monkeypatch.setitem(trackers._BEGIN, "wandb", failing)
  writer = _writer(tmp_path)
  for step in range(1, 50):
    writer.write_metrics("grpo", step, {"loss": step})
  writer.close()
  (record,) = caplog.records
  assert "no more figures for --tracker=wandb: [Errno 28] No space left" in record.getMessage()
  assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 49


class _Stuck:
  """A network that never answers."""

  known = ""

  def __init__(self):
    self.answer = threading.Event()

  def write(self, step, figures):
    self.answer.wait(20)

  def close(self, *, whole):
    pass


@pytest.mark.fault(23)
@pytest.mark.parametrize(("lines", "said"), [(2, "not all was sent within"), (9, "4 lines wait")])
def test_one_that_hangs_holds_up_nothing(lines, said, caplog):
  tracker = _Stuck()
  courier = Courier("wandb", tracker, most=4, patience=0.2)
  for step in range(lines):
    courier.send(step, {"loss": 1.0})
  courier.close(whole=True)
  tracker.answer.set()
  assert len(caplog.records) == 1
  assert said in caplog.text


def test_an_unknown_tracker_names_the_nearest():
  with pytest.raises(ConfigError, match="--tracker has no tracker 'wandd': did you mean 'wandb'"):
    check_trackers(Tracking(["wandd"]))


@pytest.mark.fault(44)
@pytest.mark.parametrize("name", ["wandb", "mlflow", "trackio"])
def test_one_that_is_not_installed_is_one_line_with_what_to_type(name, monkeypatch):
  monkeypatch.setitem(sys.modules, name, None)
  with pytest.raises(ConfigError, match=rf"--tracker={name}: .*pip install 'grpo_jax\[{name}\]'$"):
    check_trackers(Tracking([name]))


def test_without_trackers_nothing_is_written(tmp_path):
  _writer(tmp_path, tracking=Tracking()).close()
  assert not (tmp_path / "trackers.json").exists()
