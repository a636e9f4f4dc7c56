"""What is read from run folders and studies, and what is said of them."""

import importlib
import math
import os
import subprocess
import sys

import numpy as np
import pytest

from grpo_jax.config import ConfigError
from grpo_jax.report import extra, found, importance, plain, runs, scaling, sigmoid, study, tables
from grpo_jax.report.interval import half_width
from grpo_jax.report.report import report
from tests.report import sweeps
from tests.sweep import helpers


@pytest.mark.parametrize(
  ("unit", "compute"),
  [("steps", [0, 10, 20]), ("seconds", [0, 20, 40]), ("answers", [0, 320, 640])],
)
def test_a_curve_against_each_unit_of_compute(tmp_path, unit, compute):
  # 2 s a step; 8 groups of 4 answers a step.
  folder = sweeps.run(tmp_path, [0.1, 0.2, 0.3])
  curve = runs.curve(folder, "eval/accuracy", unit)
  np.testing.assert_allclose(curve.compute, compute)
  np.testing.assert_allclose(curve.values, [0.1, 0.2, 0.3])


def test_what_was_before_the_final_stage_is_where_it_starts(tmp_path):
  before = [(0, 0.0), (5, 0.26)]
  folder = sweeps.run(tmp_path, [None, 0.3, None, 0.4], before=before)
  curve = runs.curve(folder, "eval/accuracy", "seconds")
  np.testing.assert_allclose(curve.compute, [0, 20, 60])
  np.testing.assert_allclose(curve.values, [0.26, 0.3, 0.4])


def test_torn_lines_and_null_are_passed_over(tmp_path):
  folder = sweeps.run(tmp_path, [0.1, 0.2, 0.3])
  with open(tmp_path / "metrics.jsonl", "a", encoding="utf-8") as file:
    file.write('{"stage": "grpo", "step": 30, "eval/accuracy": null}\n')
    file.write('[1]\n{"step": 4}\n{"stage": "grpo", "step": 40, "eval/acc')
  assert runs.curve(folder, "eval/accuracy", "steps").values.tolist() == [0.1, 0.2, 0.3]
  os.remove(tmp_path / "config.json")
  assert runs.curve(folder, "eval/accuracy", "steps").values.tolist() == [0.1, 0.2, 0.3]
  assert runs.curve(folder, "eval/accuracy", "answers") is None  # group_size is not known
  assert runs.curve(folder, "eval/loss", "steps") is None


def test_a_run_that_has_not_reached_its_final_stage_has_no_curve(tmp_path):
  folder = sweeps.run(tmp_path, [], before=[(0, 0.0), (5, 0.2)])
  assert runs.curve(folder, "eval/accuracy", "steps") is None


def test_runs_are_grouped_by_what_differs_but_the_seed(tmp_path):
  for lr in (1e-4, 1e-2):
    for seed, last in enumerate((0.5, 0.7)):
      fields = {"optimizer": {"lr": lr}}
      sweeps.run(tmp_path / f"{lr}-{seed}", [0.1, last + lr], seed=seed, fields=fields)
  read = plain.read([str(tmp_path)], "eval/accuracy", "steps")
  assert [one.name for one in read.settings] == ["lr=0.0001", "lr=0.01"]
  assert [len(one.curves) for one in read.settings] == [2, 2]
  assert read.settings[0].params == {"stages.grpo.optimizer.lr": 1e-4}
  assert read.logarithmic == {"stages.grpo.optimizer.lr"}
  assert read.best_first()[0].value == pytest.approx(0.61)
  # Student's t of one degree of freedom is 12.706; s / sqrt(2) of 0.5 and 0.7 is 0.1.
  assert read.settings[0].interval == pytest.approx(1.2706, rel=1e-4)


def test_settings_that_differ_in_much_have_numbers_and_all_their_runs(tmp_path):
  for place in range(2):
    fields = {f"field_{name}": f"value {place}" for name in range(9)}
    for parent in ("x", "y"):
      sweeps.run(tmp_path / parent / str(place) / "seed-0", [0.1, 0.2], fields=fields)
  read = plain.read([str(tmp_path)], "eval/accuracy", "steps")
  assert [one.name for one in read.settings] == ["setting 1", "setting 2"]
  assert [len(one.curves) for one in read.settings] == [2, 2]


def test_a_run_without_a_config_is_a_setting_by_itself(tmp_path):
  for name in ("a", "b", "c/a"):
    os.remove(os.path.join(sweeps.run(tmp_path / name, [0.1, 0.2]), "config.json"))
  read = plain.read([str(tmp_path)], "eval/accuracy", "steps")
  assert [one.name for one in read.settings] == ["setting 1", "b", "setting 3"]


def test_half_width_of_one_and_of_three():
  assert half_width([0.5]) is None
  assert half_width([1.0, 2.0, 3.0]) == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


def test_names_are_as_short_as_they_can_be():
  names = found.shortened(["a.b.lr", "a.c.lr", "a.c.steps", "lr"])
  assert names == {"a.b.lr": "b.lr", "a.c.lr": "c.lr", "a.c.steps": "steps", "lr": "lr"}


@pytest.mark.parametrize(
  ("figure", "lower"),
  [("eval/loss", True), ("eval/reward_loss", True), ("eval/accuracy", False), ("loss", True)],
)
def test_losses_are_better_low(figure, lower):
  assert found.lower_is_better(figure) == lower


def test_a_study_is_read(tmp_path):
  read = study.read(sweeps.small(tmp_path), "", "", "steps")
  assert (read.title, read.figure, read.lower) == ("sums", "eval/accuracy", False)
  assert read.best_first()[0].name == "trial 6"
  assert read.best_first()[0].interval == pytest.approx(0.02)
  assert [one.state for one in read.settings[-2:]] == ["pruned", "failed"]
  assert read.settings[-1].reason.startswith("not finite")
  assert sorted(read.settings[6].curves) == ["seed-0", "seed-1"]
  assert sum(read.importances.values()) == pytest.approx(1)
  assert (
    next(iter(read.importances)) == sweeps.LR
  )  # the objective has next to nothing to do with it
  assert read.logarithmic == {sweeps.LR}


def test_what_a_sweep_has_kept_is_read(tmp_path):
  helpers.sweep(tmp_path, trials=1, seeds=2)
  (read,) = study.read(str(tmp_path), "", "", "steps").settings
  assert len(read.values) == 2
  assert read.value == pytest.approx(sum(read.values) / 2)
  assert read.interval == pytest.approx(half_width(read.values))
  assert f"--workdir={tmp_path}/best-0000/seed-1" in read.command
  assert f"{tmp_path}/trials" not in read.command


def test_a_study_to_be_minimised_has_its_least_first(tmp_path):
  trials = [("COMPLETE", value, {sweeps.LR: 1e-3}, {}) for value in (0.5, 0.2, 0.4)]
  sweeps.study(tmp_path, trials, direction="minimize")
  read = study.read(str(tmp_path), "", "", "steps")
  assert [one.value for one in read.best_first()] == [0.2, 0.4, 0.5]


def test_a_falling_figure_is_fitted_upside_down():
  compute = np.arange(0, 150, 10.0)
  values = sigmoid.sigmoid(compute, 3.0, 1.0, 2.0, 40.0)
  setting = found.Setting("one", {}, curves={"0": sigmoid.Curve(compute, values)})
  (row,) = scaling.scalings(found.Found("t", "eval/loss", True, "steps", (setting,)))
  assert row.ceiling[0] == pytest.approx(1.0, rel=1e-3)
  assert row.plain("middle")[0] == pytest.approx(40.0, rel=1e-3)
  assert row.halves.naive_last < -0.1  # negated: it stays too low


def test_settings_are_ordered_by_ceiling_and_by_efficiency_apart():
  compute, settings = np.arange(0, 300, 10.0), []
  for name, ceiling, exponent, middle in [
    ("a", 0.9, 1.5, 90),
    ("b", 0.6, 3, 60),
    ("c", 0.5, 2, 30),
  ]:
    values = sigmoid.sigmoid(compute, 0.1, ceiling, exponent, middle)
    settings.append(found.Setting(name, {}, curves={"0": sigmoid.Curve(compute, values)}))
  flat = found.Setting("flat", {}, curves={"0": sigmoid.Curve(compute, 0.1 + 0 * compute)})
  whole = found.Found("t", "eval/accuracy", False, "steps", (flat, *settings))
  rows = scaling.scalings(whole)
  orders = scaling.orders(rows)
  names = ["".join(row.setting.name for row in orders[by]) for by in ("A", "B", "C_mid")]
  assert names == ["abc", "bca", "cba"]
  table = tables.scaling(rows)
  assert [line[0] for line in table[1:]] == ["a", "b", "c", "flat"]
  assert [line[4] for line in table[1:]] == ["1, 3, 3", "2, 1, 2", "3, 2, 1", "-, -, -"]
  assert table[4][1] == "not identified: no improvement"


def test_an_exponent_at_its_limit_is_not_ranked():
  """A step: any B is steep enough."""
  compute = np.arange(0, 300, 10.0)
  steep = sigmoid.Curve(compute, np.where(compute > 95, 0.8, 0.1))
  plain = sigmoid.Curve(compute, sigmoid.sigmoid(compute, 0.1, 0.6, 2.0, 60.0))
  settings = [
    found.Setting(name, {}, curves={"0": curve})
    for name, curve in (("steep", steep), ("plain", plain))
  ]
  rows = scaling.scalings(found.Found("t", "eval/accuracy", False, "steps", tuple(settings)))
  assert [row.fit.bound for row in rows] == [True, False]
  assert [row.setting.name for row in scaling.orders(rows)["B"]] == ["plain"]
  table = tables.scaling(rows)
  assert table[1][2] == "at its limit, 8"
  assert [line[4] for line in table[1:]] == ["1, -, 2", "2, 1, 1"]


def test_the_lines_of_a_sweep(tmp_path):
  folder = sweeps.small(tmp_path)
  lines = report([folder])
  text = "\n".join(lines)
  assert lines[0] == "sums: eval/accuracy, higher is better"
  assert lines[1] == "12 complete, 1 pruned, 1 failed"
  assert lines[5].split()[:6] == ["1", "trial", "6", "0.800", "±", "0.020"]
  assert "within the best one's interval: trial 5, trial 7" in text
  assert "predicted to end below the best" in text
  assert "by C_mid: trial" in text
  assert f"  python -m experiments.train --workdir='again 6' # {sweeps.NASTY}" in lines
  assert lines[-1] == f"page  {os.path.join(folder, 'report.html')}"


def test_few_trials_have_no_importances(tmp_path):
  sweeps.study(tmp_path, [("COMPLETE", 0.5, {sweeps.LR: 1e-3}, {})], seeds=0)
  text = "\n".join(report([str(tmp_path)]))
  assert "1 completed trials are too few for importances: 10 are wanted" in text


def test_equal_trials_have_no_importances(tmp_path):
  made = sweeps.study(tmp_path, [("COMPLETE", 0.5, {sweeps.LR: 1e-3}, {})] * 10, seeds=0)
  assert importance.importances(made) == ({}, "no importances: all trials have the same value")


def test_a_sweep_with_nothing_yet_is_reported(tmp_path):
  trials = [("RUNNING", None, {sweeps.LR: 1e-3}, {}), ("FAIL", None, {}, {})]
  sweeps.study(tmp_path, trials, seeds=0)
  text = "\n".join(report([str(tmp_path)], out=str(tmp_path / "page.html")))
  assert "1 running, 1 failed" in text
  assert "no reason was recorded" in text
  assert (tmp_path / "page.html").stat().st_size > 1e6


def test_a_study_in_a_database_and_one_of_several(tmp_path):
  address = f"sqlite:///{tmp_path}/all.db"
  for name in ("one", "two"):
    sweeps.study(tmp_path, [("COMPLETE", 0.5, {}, {})], storage=address, name=name, seeds=0)
  assert study.read(str(tmp_path), address, "two", "steps").title == "two"
  with pytest.raises(ConfigError, match=r"several studies: --study=one\|two"):
    study.read(str(tmp_path), address, "", "steps")
  with pytest.raises(ConfigError, match=r"--study=tow: .* has one, two"):
    study.read(str(tmp_path), address, "tow", "steps")


def _nothing(folder):
  return [str(folder)], {}, "neither a study"


def _missing(folder):
  return [f"{folder}/nope"], {}, "there is no such folder"


def _no_paths(_):
  return [], {}, "name the folder of a sweep"


def _torn_journal(folder):
  (folder / "study.journal").write_text("no json\n{}\n")
  return [str(folder)], {}, "cannot be read as a study"


def _empty_journal(folder):
  (folder / "study.journal").write_text("")
  return [str(folder)], {}, "there is no study in it"


def _file(folder):
  (folder / "a.html").write_text("")
  return [f"{folder}/a.html"], {}, "is a file, not a folder"


def _study_elsewhere(folder):
  (folder / "trials").mkdir()
  return [str(folder)], {}, "a sweep whose study is elsewhere: name its --storage=URL"


def _no_database(folder):
  return [str(folder)], {"storage": f"sqlite:///{folder}/a.db"}, r"there is no file .*/a\.db"


def _not_a_database(folder):
  return [str(folder)], {"storage": "what"}, "cannot be read as a study"


def _no_figure(folder):
  return [sweeps.run(folder, [0.1, 0.2])], {"figure": "eval/acuracy"}, "no run has the figure"


def _no_place(folder):
  return [sweeps.run(folder, [0.1, 0.2])], {"out": f"{folder}/nope/a.html"}, "No such file"


def _figure_of_a_study(folder):
  (folder / "study.journal").write_text("")
  return [str(folder)], {"figure": "reward/mean"}, "has a study, which names its own"


def _two_studies(folder):
  (folder / "study.journal").write_text("")
  return [str(folder), str(folder)], {}, "it is reported alone"


_CASES = [_nothing, _missing, _no_paths, _torn_journal, _empty_journal, _no_database]
_CASES += [_not_a_database, _no_figure, _no_place, _figure_of_a_study, _two_studies]
_CASES += [_file, _study_elsewhere]


@pytest.mark.parametrize("case", _CASES)
def test_what_cannot_be_reported_is_one_line(case, tmp_path):
  paths, asked, words = case(tmp_path)
  with pytest.raises(ConfigError, match=words) as error:
    report(paths, **asked)
  assert "\n" not in str(error.value)


@pytest.mark.parametrize("module", ["optuna", "plotly.offline", "scipy.optimize"])
def test_a_missing_library_names_the_extra(module, monkeypatch):
  def refuse(name):
    raise ImportError(name)

  monkeypatch.setattr(importlib, "import_module", refuse)
  package = module.split(".")[0]
  line = rf"^a page needs {package}: pip install 'grpo_jax\[sweep\]'$"
  with pytest.raises(ConfigError, match=line):
    extra.load(module, "a page")


def test_the_command(tmp_path):
  sweeps.run(tmp_path / "a", sweeps.rising(0.7))
  sweeps.run(tmp_path / "b", sweeps.rising(0.5), fields={"optimizer": {"lr": 3e-4}})
  command = [sys.executable, "-m", "experiments.report"]
  paths = [str(tmp_path / "a"), str(tmp_path / "b")]
  done = subprocess.run([*command, *paths, "--compute=answers"], capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  assert "compute in answers sampled" in done.stdout
  assert "lr=0.0003" in done.stdout
  assert (tmp_path / "report.html").exists()
  done = subprocess.run([*command, str(tmp_path / "c")], capture_output=True, text=True)
  assert done.returncode == 2
  assert done.stderr == f"error: {tmp_path}/c: there is no such folder\n"
