"""Whole sweeps of a fake trainer: what fails, is cut short, hangs or is joined by others."""

import json
import os
import re
import shlex
import signal
import subprocess
import time

import pytest

from grpo_jax.config import ConfigError
from grpo_jax.sweep import launch
from grpo_jax.sweep.slots import own_cores
from tests.sweep import fake
from tests.sweep.helpers import LR, MISHAP, options, study, sweep, trials, worker


def _file(tmp_path, values):
  """An experiment file whose trial number n has values[n] of the mishap and lr."""
  path = tmp_path / "experiment.py"
  path.write_text(
    f"def get_space(trial):\n  mishap, lr = {values!r}[trial.number]\n"
    f"  return {{{MISHAP!r}: mishap, {LR!r}: lr}}\n"
  )
  return str(path)


@pytest.mark.fault(29)
def test_failures_are_told_and_do_not_end_the_sweep(tmp_path):
  """Each mishap is a failed trial with its reason, and the good trials beside them are done."""
  order = [fake.FINE, fake.ERROR, fake.KILLED, fake.NAN, fake.SILENT, fake.MEMORY, fake.TOLD]
  order += [fake.HANGS, fake.FINE]
  file = _file(tmp_path, [(mishap, 1e-3 * (1 + at)) for at, mishap in enumerate(order)])
  found, lines = sweep(
    tmp_path, file=file, space="", trials=len(order), jobs=3, trial_hours=3 / 3600
  )
  reasons = {order[t.number]: t.user_attrs.get("reason", "") for t in found}
  assert reasons == {
    fake.FINE: "",
    fake.ERROR: "exit code 1: ValueError: a bad thing",
    fake.KILLED: "killed by signal 9 (SIGKILL), as when memory runs out",
    fake.NAN: "eval/accuracy is nan at the end",
    fake.SILENT: "no eval/accuracy in metrics.jsonl; did you mean 'eval/length'?",
    fake.MEMORY: "out of memory: jax.errors.JaxRuntimeError: RESOURCE_EXHAUSTED: 9 GB asked for",
    fake.TOLD: "exit code 1: config.seed=0: what a person can mend",
    fake.HANGS: "took longer than --trial_hours=0.000833333",
  }
  assert [t.state.name for t in found] == ["COMPLETE", *["FAIL"] * 7, "COMPLETE"]
  assert found[8].value == pytest.approx(0.9)
  assert any(re.fullmatch(r"trial 2 failed: killed by signal 9 .*, \d of 9", n) for n in lines)
  assert any(n.startswith("trial 8 done 0.9 (best 0.9, trial 8), ") for n in lines)
  assert lines[-1].startswith("the best again: ")
  assert "trial 1 failed: exit code 1: ValueError: a bad thing" in lines  # in the table
  assert "and 2 more that failed" in lines
  assert (tmp_path / "trials/0001/log.txt").read_text().rstrip().endswith("a bad thing")


def test_trials_at_a_time_have_cores_of_their_own_and_give_them_back(tmp_path):
  sweep(tmp_path, trials=5, jobs=2)
  texts = [(tmp_path / f"trials/{n:04d}/log.txt").read_text() for n in range(5)]
  cores = [{int(core) for core in re.findall(r"\d+", text.split("cores")[1])} for text in texts]
  assert set.union(*cores) == set(own_cores())
  assert all(a == b or not a & b for a in cores for b in cores) or len(own_cores()) == 1


def test_the_command_of_a_trial_repeats_it(tmp_path):
  found, _ = sweep(tmp_path, trials=1)
  command = found[0].user_attrs["command"].replace("trials/0000", "again")
  subprocess.run(shlex.split(command), check=True)
  texts = [(tmp_path / n / "seed-0/metrics.jsonl").read_text() for n in ("trials/0000", "again")]
  assert texts[0] == texts[1]


def test_several_seeds_are_a_mean_with_an_interval(tmp_path):
  found, lines = sweep(tmp_path, trials=1, seeds=3, space=f"{LR}=choice(0.001); seed=choice(4)")
  assert found[0].value == pytest.approx(0.105)
  scores = found[0].user_attrs["scores"]
  assert scores == pytest.approx({"4": 0.104, "5": 0.105, "6": 0.106})
  # 4.303 = the 97.5 % quantile of Student's t with two degrees; the deviation is 0.001.
  half = 4.303 * 0.001 / 3**0.5
  assert found[0].user_attrs["interval"] == pytest.approx([0.105 - half, 0.105 + half], abs=1e-6)
  assert "trial 0 done 0.105 ± 0.0025 (best 0.105, trial 0), 1 of 1" in lines


def test_a_bad_trial_is_cut_short_while_it_runs(tmp_path):
  values = [(fake.FINE, 1e-2)] * 5 + [(fake.SLOW, 4e-5)]
  found, lines = sweep(
    tmp_path, file=_file(tmp_path, values), space="", trials=6, jobs=3, pruner="median"
  )
  assert found[5].state.name == "PRUNED"
  written = (tmp_path / "trials/0005/seed-0/metrics.jsonl").read_text().splitlines()
  assert len(written) < 7
  assert any(line.startswith("trial 5 pruned at step ") for line in lines)


def test_a_sweep_where_nothing_works_stops_and_says_why(tmp_path):
  asked = options(tmp_path, space=f"{MISHAP}=choice({fake.ERROR})", trials=50, max_failed=2)
  with pytest.raises(ConfigError, match="first 2 trials failed and none succeeded: exit code 1: V"):
    launch.run(asked, print)
  assert len(trials(asked)) == 2
  with pytest.raises(ConfigError, match="go on with --max_failed=4"):
    launch.run(asked, print)
  assert len(trials(asked)) == 2


def test_a_point_that_contradicts_itself_fails_without_a_process(tmp_path):
  space = f"{LR}=choice(1e-3,1e-4); stages.grpo.optimizer.min_lr=choice(0.0,5e-4)"
  found, lines = sweep(tmp_path, space=space, sampler="grid", trials=0)
  failed = [t for t in found if t.state.name == "FAIL"]
  assert [t.params[LR] for t in failed] == [1e-4]
  assert "min_lr=0.0005 is the floor" in failed[0].user_attrs["reason"]
  assert not (tmp_path / f"trials/{failed[0].number:04d}/log.txt").exists()
  assert len(found) == 4
  assert "1 of 4 corners of the space cannot be run" in lines[1]


def test_a_grid_has_each_point_once(tmp_path):
  space = f"{LR}=uniform(0.001,0.003,0.001); {MISHAP}=choice({fake.FINE},{fake.ERROR})"
  found, _ = sweep(tmp_path, space=space, sampler="grid", trials=100, jobs=2)
  assert len(found) == 6
  assert len({tuple(sorted(t.params.items())) for t in found}) == 6


@pytest.mark.parametrize(
  ("sampler", "pruner"), [("random", "none"), ("cma", "median"), ("tpe", "hyperband")]
)
def test_samplers_and_a_database(tmp_path, sampler, pruner):
  fields = {"storage": f"sqlite:///{tmp_path}/study.db", "direction": "minimize"}
  found, _ = sweep(tmp_path, sampler=sampler, pruner=pruner, trials=2, **fields)
  assert [t.state.name for t in found] == ["COMPLETE"] * 2
  more, lines = sweep(tmp_path, sampler=sampler, trials=3, **fields)
  assert len(more) == 3
  best = min(more, key=lambda t: t.value)
  assert f"(best {best.value:.4g}, trial {best.number}), 3 of 3" in "".join(lines)


def test_a_sweep_of_something_else_is_refused(tmp_path):
  sweep(tmp_path, trials=1)
  with pytest.raises(ConfigError) as error:
    launch.run(options(tmp_path, space=f"{LR}=log(1e-4,1e-2)", seeds=2), print)
  line = str(error.value)
  assert "is a sweep of something else; seeds was 1, now 2; space was" in line
  assert "\n" not in line


def test_two_workers_share_one_study(tmp_path):
  space = f"{LR}=log(1e-4,1e-3); {MISHAP}=choice({fake.FINE},{fake.SLOW})"
  workers = [worker(tmp_path, space=space, trials=8) for _ in range(2)]
  texts = [process.communicate(timeout=60)[0] for process in workers]
  assert [process.returncode for process in workers] == [0, 0], texts
  found = [t for t in trials(options(tmp_path)) if not t.user_attrs.get("lost")]
  assert [t.state.name for t in found] == ["COMPLETE"] * 8
  done = [set(re.findall(r"^trial (\d+) done", text, flags=re.MULTILINE)) for text in texts]
  assert not done[0] & done[1]
  assert len(done[0] | done[1]) == 8
  assert all(_starts(tmp_path, t.number) == [0] for t in found)


@pytest.mark.fault(29)
def test_a_killed_sweep_goes_on_where_it_was(tmp_path):
  fields = {"space": f"{LR}=log(1e-4,1e-3); {MISHAP}=choice({fake.SLOW})", "trials": 3, "jobs": 2}
  process = worker(tmp_path, **fields)
  _wait(lambda: _lines(tmp_path, 0) >= 2 and _lines(tmp_path, 1) >= 2)
  process.kill()
  process.wait()
  time.sleep(0.6)
  before = _lines(tmp_path, 0)
  time.sleep(0.6)
  assert _lines(tmp_path, 0) == before  # the children have died with it
  asked = options(tmp_path, **fields)
  assert [t.state.name for t in trials(asked)] == ["RUNNING", "RUNNING"]
  found, lines = sweep(tmp_path, **fields)
  assert [t.state.name for t in found] == ["COMPLETE"] * 3
  assert _starts(tmp_path, 0)[0] == 0
  assert _starts(tmp_path, 0)[1] >= 2
  assert len(set(found[0].intermediate_values)) == 7
  assert any(line.startswith("sweep sweep in") and "2 trials so far" in line for line in lines)


@pytest.mark.fault(29)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_children_and_says_how_to_go_on(tmp_path, number):
  fields = {"space": f"{MISHAP}=choice({fake.HANGS})", "trials": 2, "seeds": 1}
  process = worker(tmp_path, **fields)
  _wait(lambda: _lines(tmp_path, 0) >= 3)
  process.send_signal(number)
  said, _ = process.communicate(timeout=30)
  assert process.returncode == 128 + number
  assert "stopped with 1 trials under way; the same command goes on with them" in said
  assert trials(options(tmp_path, **fields))[0].state.name == "RUNNING"


def test_the_time_budget_leaves_trials_to_be_resumed(tmp_path):
  space = f"{MISHAP}=choice({fake.HANGS})"
  _, lines = sweep(tmp_path, space=space, hours=0.5 / 3600)
  assert "stopped with 1 trials under way" in lines[-1]


def test_a_trial_whose_folder_is_out_of_sight_is_enqueued_again(tmp_path):
  """Its worker was on another machine and is silent; a younger one is left alone."""
  found, _ = sweep(tmp_path, trials=1)
  there = study(options(tmp_path))
  for silent in (3600, 0):
    trial = there.ask()
    lr = trial.suggest_float(LR, 1e-4, 1e-3, log=True)
    attributes = {"alive": time.time() - silent, "values": {LR: lr}, "token": "another"}
    # The same path is there, and is not the same folder.
    attributes["folder"] = str(tmp_path / "trials/0000")
    for name, value in attributes.items():
      trial.set_user_attr(name, value)
  found, lines = sweep(tmp_path, trials=4)
  assert [t.state.name for t in found] == ["COMPLETE", "FAIL", "RUNNING", "COMPLETE", "COMPLETE"]
  assert found[1].user_attrs["lost"]
  assert found[3].params == found[1].params
  assert any(line.startswith("1 trials are under way in other workers") for line in lines)


def test_a_trial_that_was_only_asked_for_is_adopted(tmp_path):
  """A worker that died before it had made the folder: the trial is still young, then it is not."""
  sweep(tmp_path, trials=1)
  there = study(options(tmp_path))
  there.ask()
  log = tmp_path / "study.journal"
  text = [json.loads(line) for line in log.read_text().splitlines()]
  for record in text[-1:]:
    record["datetime_start"] = "2020-01-01T00:00:00.000000"
  log.write_text("".join(json.dumps(record) + "\n" for record in text))
  found, _ = sweep(tmp_path, trials=2)
  assert [t.state.name for t in found] == ["COMPLETE"] * 2


@pytest.mark.fault(29)
def test_a_torn_journal_is_mended(tmp_path):
  sweep(tmp_path, trials=1)
  with open(tmp_path / "study.journal", "a") as file:
    file.write('{"op_code": 4, "wor')
  found, _ = sweep(tmp_path, trials=2)
  assert [t.state.name for t in found] == ["COMPLETE"] * 2


def _starts(tmp_path, number):
  """After how many lines of figures each start of the trainer went on."""
  text = (tmp_path / f"trials/{number:04d}/log.txt").read_text()
  return [int(count) for count in re.findall(r"starts after (\d+) lines", text)]


def _lines(tmp_path, number):
  path = tmp_path / f"trials/{number:04d}/seed-0/metrics.jsonl"
  return len(path.read_text().splitlines()) if os.path.exists(path) else 0


def _wait(condition):
  until = time.monotonic() + 30
  while not condition():
    assert time.monotonic() < until
    time.sleep(0.05)
