"""What the page of a run is made of: lines, curves, fields that differ, samples that fit."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_jax import config
from grpo_jax.config import ConfigError, saved
from grpo_jax.report import assets, changed, chosen, clip, panels, run_page
from grpo_jax.report.lines import on_one_axis
from grpo_jax.report.report import report
from grpo_jax.report.run_folder import read
from grpo_jax.report.run_report import run_report
from grpo_jax.report.thin import envelope, running_mean
from grpo_jax.run import launch
from tests.config.helpers import experiment
from tests.report import sweeps


@given(st.lists(st.floats(-1e3, 1e3), max_size=200), st.integers(1, 20))
def test_a_thin_curve_keeps_its_ends_and_extremes(y, places):
  x = list(range(len(y)))
  found = envelope(x, y, places)
  assert len(found[0]) == len(found[1]) <= max(2 * places + 2, 0) or len(y) <= 2 * places + 2
  assert found[0] == sorted(set(found[0]))
  assert [y[at] for at in found[0]] == found[1]
  if y:
    assert (found[0][0], found[0][-1]) == (0, len(y) - 1)
    assert (min(found[1]), max(found[1])) == (min(y), max(y))


def test_a_running_mean_stays_in_its_stage():
  assert running_mean([1, 0, 0.5, 1.5], [0, 2], 10) == [1, 0.5, 0.5, 1.0]
  assert running_mean(list(map(float, range(12))), [0], 10)[-1] == pytest.approx(6.5)


def test_a_running_mean_recovers_from_a_spike():
  y = [1.0] * 25 + [1e18] + [1.0] * 25
  assert running_mean(y, [0], 10)[-15:] == [1.0] * 15
  tiny = [5e-324, -0.0, 1e-300, -1e300, 3.0, 0.1, 0.2, 0.3, 0.7]
  for end, mean in enumerate(running_mean(tiny, [0], 3)):
    window = tiny[max(end - 2, 0) : end + 1]
    assert mean == pytest.approx(math.fsum(window) / len(window), rel=1e-15, abs=0)


def test_panels_are_of_what_a_run_has(tmp_path):
  lines = [
    {"stage": "rl", "step": 0, "eval/accuracy": 0.5, "eval/problems": 100.0, "eval/helpful": 0.1},
    {"stage": "rl", "step": 1, "reward/mean": 1.0, "reward/std": 1, "loss/policy": 2},
  ]
  lines[1] |= {"reward/a": 0.5, "reward/b": 0.5, "reward/a/weighted": 0.5, "train/skipped": 0.0}
  lines[1]["reward/correlation/a/b"] = None
  (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
  found, zeros = panels.panels(on_one_axis(str(tmp_path / "metrics.jsonl"))[0])
  titles = [panel["title"] for panel in found]
  assert titles == [
    "Sampled reward and held-out score", "Rewards, each by itself", "Held-out scores", "Loss",
  ]  # fmt: skip
  assert [one["name"] for one in found[1]["series"]] == ["reward/a", "reward/b"]
  assert zeros == ["train/skipped"]
  score = found[0]["series"][-1]
  assert score["low"] == [pytest.approx(0.40383, abs=1e-4)]  # Wilson's, of 50 in 100
  assert score["high"] == [pytest.approx(0.59617, abs=1e-4)]


@pytest.mark.parametrize("together", [1, 5])
def test_steps_that_compile_are_no_part_of_the_mean_seconds_of_others(together):
  later = 30 - together
  seconds = together * [40.0] + later * [2.0] + together * [60.0] + later * [4.0]
  lines = [
    {"stage": "ab"[n // 30], "step": n % 30 + 1, "x": n, "time/step_s": value}
    for n, value in enumerate(seconds)
  ]
  panel = next(p for p in panels.panels(lines)[0] if p["title"] == "Seconds of a step")
  assert panel["series"][-1]["y"] == seconds


def test_figures_far_apart_have_a_logarithmic_axis():
  def lines(norms):
    return [
      {"stage": "a", "step": n, "x": n, "train/grad_norm": norm} for n, norm in enumerate(norms)
    ]

  def logarithmic(norms):
    return next(p["log"] for p in panels.panels(lines(norms))[0] if p["title"] == "Gradient norm")

  assert logarithmic([1.0, 1.2, 1e4])
  assert not logarithmic([1.0, 1.2, 10.0])
  assert not logarithmic([0.0, 1.0])


def test_fields_that_are_as_by_default_are_no_difference():
  own = experiment(config.GRPO(steps=7, loss=config.LossConfig(clip_high=0.3)), seed=3)
  rows = {path: (value, usual) for path, value, usual in changed.changed(own)}
  assert rows["seed"] == ("3", "0")
  assert rows["stages.grpo.loss.clip_high"] == ("0.3", "0.2")
  assert rows["model.tokenizer"][0] == "characters"
  assert "evaluation.problems" not in rows
  assert not any(path.startswith("checkpoint") for path in rows)


@pytest.mark.parametrize("name", list(config.PRESETS))
def test_every_preset_is_known_again(name):
  if name in ("grpo",):
    assert changed.nearest(config.GRPO()) == ("grpo", 0)
  stage = config.GRPO(**config.preset(name))
  found, count = changed.nearest(stage)
  assert count == 0
  assert config.PRESETS[found] == config.PRESETS[name]
  rows = changed.changed(experiment(stage))
  assert not any(
    re.match(r"stages\.grpo\.(loss|grouping|shaping|selection)", row[0]) for row in rows
  )


def test_an_algorithm_is_compared_with_the_nearest_preset():
  stage = config.GRPO(**config.preset("dapo"))
  stage.loss.clip_high = 0.4
  own = experiment(stage)
  assert changed.algorithms(own) == {"grpo": ("dapo", 1)}
  rows = [row for row in changed.changed(own) if row[0].startswith("stages.grpo.loss")]
  assert rows == [("stages.grpo.loss.clip_high", "0.4", "0.28")]


def test_flags_are_told_from_the_file():
  assert changed.typed("python -m x --config=a.py --config.seed=3 -config.stages.a.b=1") == {
    "seed", "stages.a.b",
  }  # fmt: skip


def _samples(path, steps, prompts=3, size=100):
  with open(path, "w", encoding="utf-8") as file:
    for step in range(1, steps + 1):
      for prompt in range(prompts):
        record = {"stage": "rl", "step": step, "prompt": f"{step} {prompt}"}
        record |= {"completions": ["x" * size], "rewards": [0.0], "advantages": [0.0]}
        file.write(json.dumps(record) + "\n")
  return str(path)


def test_a_short_run_has_all_its_samples(tmp_path):
  found = chosen.choose(_samples(tmp_path / "samples.jsonl", 5))
  assert [record["prompt"] for record in found.records][:4] == ["1 0", "1 1", "1 2", "2 0"]
  assert len(found.records) == 15
  assert found.note == ""


def test_of_a_long_run_first_last_and_wanted_steps_are_there(tmp_path):
  path = _samples(tmp_path / "samples.jsonl", 400, prompts=8)
  found = chosen.choose(path, {"rl": [137, 9999]}, most_bytes=60_000)
  steps = sorted({record["step"] for record in found.records})
  assert {1, 137, 400} <= set(steps)
  assert 10 < len(steps) < 200
  assert np.diff(steps).max() < 20
  assert sum(len(json.dumps(record)) for record in found.records) < 75_000
  assert f"{len(steps)} of 400 steps" in found.note
  assert "prompts of each" in found.note


def test_a_steps_records_are_its_own(tmp_path):
  path = _samples(tmp_path / "samples.jsonl", 60, prompts=8)
  text = (tmp_path / "samples.jsonl").read_text().splitlines()
  text.insert(1, '{"stage": "rl", "step": 1, "pro')  # torn
  del text[4:9]  # of the first step three prompts
  (tmp_path / "samples.jsonl").write_text("\n".join(text))
  found = chosen.choose(path, most_bytes=30_000)
  by_step = {}
  for record in found.records:
    by_step.setdefault(record["step"], []).append(record["prompt"])
  assert by_step.pop(1) == ["1 0", "1 1", "1 2"]
  shown = len(by_step[60])
  assert 4 <= shown < 8
  assert all(own == [f"{step} {n}" for n in range(shown)] for step, own in by_step.items())


def test_one_giant_step_does_not_fill_the_page(tmp_path):
  path = _samples(tmp_path / "samples.jsonl", 3, prompts=1, size=2_000_000)
  found = chosen.choose(path, most_bytes=1_000_000)
  assert len(found.records) == 3
  assert {len(record["completions"][0]) for record in found.records} == {clip.LONGEST}
  assert "texts up to 4,000 characters" in found.note


def test_torn_and_foreign_lines_are_passed_over(tmp_path):
  path = _samples(tmp_path / "samples.jsonl", 2, prompts=1)
  with open(path, "a", encoding="utf-8") as file:
    file.write(
      '[]\n{"stage": "rl", "step": 3}\n{"step": 4, "stage": "rl", "prompt": 1, "completions": '
    )
    file.write('["a"], "rewards": [NaN, 2]}\n{"stage": "rl", "step": 9, "prompt": "to')
  found = chosen.choose(path)
  assert [record["step"] for record in found.records] == [1, 2, 4]
  assert "rewards" not in found.records[-1]  # of another length than the answers
  assets.as_json(found.records)
  assert chosen.choose(str(tmp_path / "none.jsonl")).records == []


@given(st.text())
def test_no_text_leaves_its_script(text):
  found = assets.as_json({"a": text})
  assert json.loads(found) == {"a": text}
  assert found.isascii()
  assert not re.search("[<>&]", found)


def test_the_lines_of_a_run(tmp_path):
  folder = sweeps.run(tmp_path / "one", [0.1, 0.6, 0.4])
  lines = report([folder], diagnose=lambda lines: [("grpo", len(list(lines)), "ill")])
  assert lines[0].startswith("one: held-out accuracy 0.100 → 0.400; best 0.600 at grpo step 10")
  assert lines[1] == "warning: grpo step 23: ill"
  assert lines[-1] == f"page  {folder}/report.html"
  assert not (tmp_path / "one" / "report.html.tmp").exists()


def _run(folder, stages, lines):
  """A run folder with a config that is read back whole."""
  own = dataclasses.replace(experiment(), stages=stages)
  written = {"config": dataclasses.asdict(own), "classes": saved.classes(own)}
  (folder / "config.json").write_text(json.dumps(written))
  (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
  found = read(str(folder))
  assert found.config is not None
  return found


def _evaluations(stage, *values):
  """At every tenth step, the last two lines of which are that step's and its evaluation's."""
  for step, value in enumerate(values, 1):
    yield {"stage": stage, "step": 10 * step, "reward/mean": 0.1}
    yield {"stage": stage, "step": 10 * step, "eval/accuracy": value}


def test_a_stage_that_its_stop_rule_has_ended_is_done(tmp_path):
  patient = config.SFT(steps=230, stop=config.Stop(patience=2))
  rl = config.GRPO(steps=230, stop=config.Stop(held=2, score=0.8))

  def said(*lines):
    return run_page.ends(_run(tmp_path, {"sft": patient, "rl": rl}, lines)).split("; ", 2)[2]

  first = list(_evaluations("sft", 0.1, 0.6, 0.5, 0.5))
  ended = "sft ended at 40 of 230 by its stop rule"
  assert said(*first) == f"{ended}; not all steps are done: rl 0 of 230"
  assert said(*first[:-1]) == "not all steps are done: sft 40 of 230, rl 0 of 230"
  assert said(*first[:-2]) == "not all steps are done: sft 30 of 230, rl 0 of 230"
  going = list(_evaluations("rl", 0.7, 0.9))
  assert said(*first, *going) == f"{ended}; not all steps are done: rl 20 of 230"
  over = list(_evaluations("rl", 0.7, 0.9, 0.8))
  assert said(*first, *over) == f"{ended}; rl ended at 30 of 230 by its stop rule"
  # Another stage follows: it is over, whatever the rule would say.
  assert said(*first[:2], *over).startswith("sft ended at 10 of 230 by its stop rule; rl ended")


def test_of_a_loss_the_lowest_and_of_equals_the_last_is_the_best(tmp_path):
  lines = [
    {"stage": "rl", "step": step, "eval/loss": loss, "eval/accuracy": 0.5, "reward/mean": 0.1}
    for step, loss in enumerate([3.0, 1.0, 1.0, 2.0], 1)
  ]
  (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
  _samples(tmp_path / "samples.jsonl", 4)
  run = read(str(tmp_path), figure="eval/loss")
  assert run.best()["step"] == 3
  assert run_page._wanted(run) == {"rl": [3, 4]}
  assert read(str(tmp_path)).best()["step"] == 4


def test_what_a_terminal_would_obey_is_not_printed(capsys, tmp_path):
  line = {"stage": "r\x1b[2Jl\x07", "step": 1, "length/truncated": 0.9}
  lines = [line | {"step": step} for step in range(1, 7)]
  (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
  launch.doctor([str(tmp_path)])
  launch.report([str(tmp_path)])
  out = capsys.readouterr().out
  assert out.count("rl step 5: length explosion") == 2
  assert "\x1b" not in out
  assert "\x07" not in out


def test_a_run_of_another_version_has_a_page(tmp_path):
  folder = sweeps.run(tmp_path, [0.1, 0.2])
  (tmp_path / "config.json").write_text('{"config": {"stages": 3}, "classes": {"config": "Gone"}}')
  run_report(folder)
  assert "is of another version" in (tmp_path / "report.html").read_text()
  (tmp_path / "config.json").write_text("[")
  assert read(folder).config is None


def test_compute_is_not_of_one_run(tmp_path):
  with pytest.raises(ConfigError, match="--compute=seconds is of several runs"):
    report([sweeps.run(tmp_path, [0.1, 0.2])], compute="seconds")


def test_runs_side_by_side_have_bands_differing_fields_and_links(tmp_path):
  for lr in (1e-4, 1e-2):
    for seed, last in enumerate((0.5, 0.7)):
      fields = {"optimizer": {"lr": lr}}
      sweeps.run(tmp_path / f"{lr}-{seed}", [0.1, last, last], seed=seed, fields=fields)
  report([str(tmp_path)])
  text = (tmp_path / "report.html").read_text()
  assert "<td>stages.grpo.optimizer.lr</td><td>0.0001</td><td>0.01</td>" in text
  for name in ("0.0001-0", "0.01-1"):
    assert f'<a href="{name}/report.html">{name}</a>' in text
    assert (tmp_path / name / "report.html").exists()
  drawn = json.loads(re.search(r'id="figures">(.*?)</script>', text)[1])
  bands = [trace for trace in drawn["curves"]["data"] if trace.get("fill")]
  assert len(bands) == 2
  assert bands[0]["y"][:3] == [0.1, 0.5, 0.5]
  assert bands[0]["y"][3:] == [0.7, 0.7, 0.1]
  assert "Held-out accuracy" in text
  assert "Seconds a step" in text
