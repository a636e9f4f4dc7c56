"""A run of MLflow, in the store that MLFLOW_TRACKING_URI names."""

import contextlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from grpo_jax.run.trackers.tracker import About

# Of one call: MLflow's own limits.
_PARAMS, _LONGEST = 100, 6000
# Members of a population begin at once, each in its thread: one makes the store and the experiment.
_BEGINNING = threading.Lock()
# Trials of a sweep do in processes: who finds the store half made by another asks again.
_TRIES, _PAUSE_S = 3, 2.0


class Run:
  """A `tracker.Tracker`."""

  def __init__(self, about: About, known: str):
    # MLflow would ask a server that is not there for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    self._metric = Metric
    with _BEGINNING:
      self._client, number = _begun(MlflowClient, "" if known else about.project)
    if known:
      self.known = known
      self._client.update_run(known, status="RUNNING")
      return
    tags = {"folder": about.folder} | ({"group": about.group} if about.group else {})
    self.known = self._client.create_run(number, tags=tags, run_name=about.name).info.run_id
    params = [Param(_named(k), json.dumps(v)[:_LONGEST]) for k, v in about.config.items()]
    for at in range(0, len(params), _PARAMS):
      self._client.log_batch(self.known, params=params[at : at + _PARAMS])

  def write(self, step: int, figures: Mapping[str, float]) -> None:
    now = int(time.time() * 1000)
    metrics = [self._metric(_named(name), value, now, step) for name, value in figures.items()]
    self._client.log_batch(self.known, metrics=metrics)

  def close(self, *, whole: bool) -> None:
    self._client.set_terminated(self.known, "FINISHED" if whole else "KILLED")


def _begun(make: Callable[[], Any], project: str) -> tuple[Any, str]:
  """A client of the store, and the number of the project's experiment where one is named."""
  for _ in range(_TRIES - 1):
    with contextlib.suppress(Exception):
      return _client(make, project)
    time.sleep(_PAUSE_S)
  return _client(make, project)


def _client(make: Callable[[], Any], project: str) -> tuple[Any, str]:
  client = make()
  return client, _experiment(client, project) if project else ""


def _experiment(client: Any, name: str) -> str:
  """The number of the experiment of this name, which is made where it is not there."""
  found = client.get_experiment_by_name(name)
  if found is None:
    try:
      return str(client.create_experiment(name))
    except Exception:
      found = client.get_experiment_by_name(name)
      if found is None:  # not that another process was faster
        raise
  return str(found.experiment_id)


def _named(name: str) -> str:
  """A name as MLflow takes it: it is a path, and only some signs may stand in it."""
  return re.sub(r"/+", "/", re.sub(r"[^\w\-. /]", "_", name)).strip("/")
