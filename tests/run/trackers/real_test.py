"""The trackers themselves, where they are installed, without a network: two starts, one run."""

import glob
import importlib.util
import json
import os
import struct

import pytest

from grpo_jax.run.trackers import Tracking, start_trackers
from tests.run import stages_test as small

_BLOCK = 1 << 15


def _needs(name):
  missing = importlib.util.find_spec(name) is None
  return pytest.mark.skipif(missing, reason=f"pip install 'grpo_jax[{name}]'")


def _run_twice(name, folder):
  """As a run that is stopped in its second stage, and resumed."""
  stages, said = {"sft": small._sft(steps=3), "grpo": small._grpo(steps=5)}, []
  for steps in ([1], [2, 3]):
    place = small.experiment(stages), str(folder), said.append
    begun = start_trackers(Tracking([name], "a_project"), *place)
    for step in steps:
      begun.write("grpo", step, {"reward/mean": step / 10, "reward//a b/own.py:fn": 1.0, "x": None})
      begun.write("grpo", step, {"eval/accuracy": step / 20})
    begun.close(whole=steps[-1] == 3)
  assert not said
  return json.loads((folder / "trackers.json").read_text())[name]


@_needs("wandb")
def test_weights_and_biases(tmp_path, monkeypatch):
  monkeypatch.setenv("WANDB_MODE", "offline")
  known = _run_twice("wandb", tmp_path)
  folders = glob.glob(str(tmp_path / "wandb" / "offline-run-*"))
  assert len(folders) == 2
  assert all(os.path.exists(os.path.join(folder, f"run-{known}.wandb")) for folder in folders)
  records = [record for folder in sorted(folders) for record in _wandb_history(folder, known)]
  name = "grpo/eval/accuracy"
  accuracy = [(found["global_step"], found[name]) for found in records if name in found]
  assert accuracy == [(4, 0.05), (5, 0.1), (6, 0.15)]


def _wandb_history(folder, known):
  """What each call has logged: a LevelDB log of blocks of 32 KiB, after 7 bytes of its own."""
  from wandb.proto import wandb_internal_pb2

  with open(os.path.join(folder, f"run-{known}.wandb"), "rb") as file:
    content = file.read()
  at, found = 7, b""
  while at + 7 <= len(content):
    if (left := _BLOCK - at % _BLOCK) < 7:  # too little for a head: the rest of a block is empty
      at += left
      continue
    _, length, kind = struct.unpack_from("<IHB", content, at)
    found += content[at + 7 : at + 7 + length]
    at += 7 + length
    if kind not in (1, 4):  # whole, or the last part
      continue
    record, found = wandb_internal_pb2.Record.FromString(found), b""
    if record.WhichOneof("record_type") == "history":
      items = record.history.item
      yield {n.key or "/".join(n.nested_key): json.loads(n.value_json) for n in items}


@_needs("mlflow")
def test_mlflow(tmp_path, monkeypatch):
  import mlflow

  uri = f"sqlite:///{tmp_path}/mlflow.db"
  monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
  mlflow.set_tracking_uri(uri)
  known = _run_twice("mlflow", tmp_path)
  client = mlflow.MlflowClient(uri)
  (run,) = client.search_runs([client.get_experiment_by_name("a_project").experiment_id])
  assert (run.info.run_id, run.info.status, run.info.run_name) == (known, "FINISHED", tmp_path.name)
  assert run.data.params["stages.grpo.steps"] == "5"
  history = client.get_metric_history(known, "grpo/reward/mean")
  assert [(point.step, point.value) for point in history] == [(4, 0.1), (5, 0.2), (6, 0.3)]
  assert "grpo/reward/a b/own.py_fn" in run.data.metrics


@_needs("trackio")
def test_trackio(tmp_path, monkeypatch):
  monkeypatch.setattr("trackio.sqlite_storage.TRACKIO_DIR", tmp_path / "store", raising=False)
  known = _run_twice("trackio", tmp_path)
  from trackio.sqlite_storage import SQLiteStorage

  assert SQLiteStorage.get_runs("a_project") == [known]
  logs = SQLiteStorage.get_logs("a_project", known)
  found = [(line["step"], line["grpo/reward/mean"]) for line in logs if "grpo/reward/mean" in line]
  assert found == [(4, 0.1), (5, 0.2), (6, 0.3)]
