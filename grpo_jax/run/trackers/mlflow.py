"""A run of MLflow, in the store that MLFLOW_TRACKING_URI names."""

import json
import os
import re
import time
from collections.abc import Mapping

from grpo_jax.run.trackers.tracker import About

# Of one call: MLflow's own limits.
_PARAMS, _LONGEST = 100, 6000


class Run:
  """A `tracker.Tracker`."""

  def __init__(self, about: About, known: str):
    # MLflow would ask a server that is not there for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    self._client, self._metric = MlflowClient(), Metric
    if known:
      self.known = known
      self._client.update_run(known, status="RUNNING")
      return
    found = self._client.get_experiment_by_name(about.project)
    number = found.experiment_id if found else self._client.create_experiment(about.project)
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


def _named(name: str) -> str:
  """A name as MLflow takes it: it is a path, and only some signs may stand in it."""
  return re.sub(r"/+", "/", re.sub(r"[^\w\-. /]", "_", name)).strip("/")
