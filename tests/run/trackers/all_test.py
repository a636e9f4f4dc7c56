"""Trackers beside metrics.jsonl: what they are given, resumes, and faults that stop nothing."""

import json
import os
import signal
import sys
import threading
import time
import types

import pytest

from grpo_jax.config import ConfigError
from grpo_jax.run import loop
from grpo_jax.run.stopping import StopError
from grpo_jax.run.trackers import Trackers, Tracking, check_trackers, mlflow, start_trackers
from grpo_jax.run.trackers import all as trackers
from grpo_jax.run.trackers.courier import Courier
from grpo_jax.run.trackers.tracker import About
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


def _writer(folder, stage=None, step=0, tracking=_ASKED, warn=print):
  writer = Writer(str(folder), _STAGES, stage, step)
  writer.track(start_trackers(tracking, _experiment(), str(folder), warn))
  return writer


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


def test_a_trials_run_is_known_by_its_trial_too(tmp_path, store):
  folder = tmp_path / "trials" / "0007" / "seed-0"
  folder.mkdir(parents=True)
  _writer(folder, tracking=Tracking(["wandb"])).close(whole=True)
  assert store.about["run-0"].name == "0007/seed-0"


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
def test_one_that_cannot_begin_is_told_and_the_others_go_on(tmp_path, store, monkeypatch):
  said = []

  def refuse(about, known):
    raise ConnectionError("no route\nto host")

  monkeypatch.setitem(trackers._BEGIN, "mlflow", refuse)
  writer = _writer(tmp_path, tracking=Tracking(["mlflow", "wandb"]), warn=said.append)
  writer.write_metrics("sft", 1, {"loss": 1})
  writer.close()
  assert said == ["--tracker=mlflow: not begun, and the run goes on without: no route to host"]
  assert len(store.lines["run-0"]) == 1
  assert json.loads((tmp_path / "trackers.json").read_text()) == {"wandb": "run-0"}


@pytest.mark.fault(23)
def test_one_that_fails_is_told_once_and_stops_nothing(tmp_path, store, monkeypatch):
  said = []

  def failing(about, known):
    run = store.begin(about, known)
    run.write = lambda step, figures: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    return run

  monkeypatch.setitem(trackers._BEGIN, "wandb", failing)
  writer = _writer(tmp_path, warn=said.append)
  for step in range(1, 50):
    writer.write_metrics("grpo", step, {"loss": step})
  writer.close()
  (line,) = said
  assert "no more figures for --tracker=wandb: [Errno 28] No space left" in line
  assert store.ends == [False]  # it is closed all the same
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
@pytest.mark.parametrize(("lines", "said"), [(2, "not all was sent before"), (9, "4 lines wait")])
def test_one_that_hangs_holds_up_nothing(lines, said):
  tracker, told = _Stuck(), []
  courier = Courier("wandb", tracker, told.append, most=4)
  for step in range(lines):
    courier.send(step, {"loss": 1.0})
  courier.end(whole=True)
  courier.wait(time.monotonic() + 0.2)
  tracker.answer.set()
  (line,) = told
  assert said in line


@pytest.mark.fault(23)
def test_all_that_hang_are_waited_for_once(monkeypatch):
  monkeypatch.setattr(trackers, "_HASTE", 0.3)
  tracker, told = _Stuck(), []
  begun = Trackers([Courier(name, tracker, told.append) for name in "abc"], {"sft": 0})
  begun.write("sft", 1, {"loss": 1.0})
  before = time.monotonic()
  begun.close(whole=False)
  assert time.monotonic() - before < 0.6
  tracker.answer.set()
  assert len(told) == 3


@pytest.mark.fault(23)
def test_a_fault_that_passes_loses_no_figure(store):
  run, told, faults = store.begin(None, ""), [], [OSError("away"), OSError("away")]
  write = run.write

  def failing(step, figures):
    if faults:
      raise faults.pop()
    write(step, figures)

  run.write = failing
  courier = Courier("wandb", run, told.append, pauses=(0.01, 0.01, 0.01))
  for step in (1, 2):
    courier.send(step, {"loss": 1.0})
  courier.end(whole=True)
  courier.wait(time.monotonic() + 10)
  assert store.lines["run-0"] == [(1, {"loss": 1.0}), (2, {"loss": 1.0})]
  assert (store.ends, told) == ([True], [])


@pytest.mark.fault(1)
@pytest.mark.fault(23)
def test_a_run_that_is_stopped_does_not_wait_for_one_that_hangs(tmp_path, monkeypatch):
  """Within ten seconds of the signal it has ended, with all that it has saved."""
  tracker, said, sent = _Stuck(), [], []
  monkeypatch.setitem(trackers._BEGIN, "wandb", lambda about, known: tracker)
  monkeypatch.setitem(sys.modules, "wandb", types.ModuleType("wandb"))

  def say(line):
    said.append(line)
    if line.startswith("sft 1/"):
      sent.append(time.monotonic())
      os.kill(os.getpid(), signal.SIGTERM)

  experiment = small.experiment({"sft": small._sft(steps=9)})
  with pytest.raises(StopError, match="SIGTERM"):
    loop.run(experiment, str(tmp_path), say=say, tracking=_ASKED)
  assert time.monotonic() - sent[0] < 10
  tracker.answer.set()
  assert [line for line in said if "--tracker=wandb: not all was sent" in line]
  assert small.places(tmp_path) == [("sft", 1)]
  assert (tmp_path / "checkpoints" / "1").exists()


def test_a_run_that_is_refused_is_none_to_a_tracker(tmp_path, store, monkeypatch):
  monkeypatch.setitem(sys.modules, "wandb", types.ModuleType("wandb"))
  stages = {"first": small._sft(steps=1), "second": small._sft(steps=1)}
  small.run(stages, tmp_path, ["second"])
  with pytest.raises(ConfigError, match="this run is past it"):
    loop.run(small.experiment(stages), str(tmp_path), say=print, stages=["first"], tracking=_ASKED)
  assert not store.begun
  assert not (tmp_path / "trackers.json").exists()


class _Server:
  """MLflow's client, of a server that refuses a second experiment of a name."""

  names, runs = {}, []

  def get_experiment_by_name(self, name):
    number = self.names.get(name)
    time.sleep(0.05)
    return number and types.SimpleNamespace(experiment_id=number)

  def create_experiment(self, name):
    if name in self.names:
      raise RuntimeError("RESOURCE_ALREADY_EXISTS")
    self.names[name] = "7"
    return "7"

  def create_run(self, number, tags, run_name):
    self.runs.append(number)
    return types.SimpleNamespace(info=types.SimpleNamespace(run_id=str(len(self.runs))))


def test_members_that_begin_at_once_share_an_experiment_of_mlflow(monkeypatch):
  monkeypatch.setattr(_Server, "names", {})
  monkeypatch.setattr(_Server, "runs", [])
  entities = types.SimpleNamespace(Metric=None, Param=None)
  monkeypatch.setitem(sys.modules, "mlflow", types.SimpleNamespace(MlflowClient=_Server))
  monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
  about = About("project", "run", "group", "folder", {})
  threads = [threading.Thread(target=mlflow.Run, args=(about, "")) for _ in range(4)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert _Server.runs == ["7"] * 4


@pytest.mark.parametrize("fails", [1, 3])
def test_a_store_of_mlflow_that_is_half_made_is_asked_again(fails, monkeypatch):
  """By another process, as trials of a sweep begin at once; one that stays broken is an error."""
  left = [OSError("no such table")] * fails

  def make():
    if left:
      raise left.pop()
    return _Server()

  monkeypatch.setattr(_Server, "names", {"project": "7"})
  monkeypatch.setattr(mlflow, "_PAUSE_S", 0.0)
  if fails == 1:
    assert mlflow._begun(make, "project")[1] == "7"
  else:
    with pytest.raises(OSError, match="no such table"):
      mlflow._begun(make, "project")


def test_an_experiment_of_mlflow_that_another_process_has_made_meanwhile_is_found(monkeypatch):
  class Late(_Server):
    def get_experiment_by_name(self, name):
      found = super().get_experiment_by_name(name)
      self.names[name] = "8"
      return found

  monkeypatch.setattr(_Server, "names", {})
  assert mlflow._experiment(Late(), "project") == "8"


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
