"""Evaluating a checkpoint: the run's own problems, other tasks, every mode, and what is refused."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from grpo_jax import config
from grpo_jax.config import ConfigError
from grpo_jax.run import launch, loop
from grpo_jax.run.assessment import Asked, evaluate
from tests.run import small

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_QUIET = {"say": lambda line: None}


def _experiment(**fields):
  """A run whose last stage trains adapters, and that knows some of its sums."""
  stages = small.experiment().stages
  stages["sft"].steps, stages["sft"].batch_size = 40, 32
  stages["grpo"].lora = config.LoRA(rank=2)
  evaluation = {"every": 0, "reward": "number"}
  return small.experiment(stages=stages, evaluation=evaluation, **fields)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
  folder = str(tmp_path_factory.mktemp("run"))
  loop.run(_experiment(), folder, **_QUIET)
  return folder


@pytest.fixture(scope="module")
def report(workdir):
  return evaluate(None, workdir, Asked(samples=8), **_QUIET)


def _last_accuracy(workdir):
  with open(f"{workdir}/metrics.jsonl", encoding="utf-8") as file:
    lines = [json.loads(line) for line in file]
  return [line["eval/accuracy"] for line in lines if "eval/accuracy" in line][-1]


def _values(report, group=None):
  own = report["groups"][group] if group else report["figures"]
  return {name: of["value"] for name, of in own.items() if isinstance(of, dict)}


def test_the_greedy_accuracy_is_that_of_the_run_itself(workdir, report):
  """The same problems, held out as in training, and the same policy."""
  assert report["checkpoint"] == "44"
  assert report["stage"] == "grpo"
  assert _values(report)["greedy/accuracy"] == _last_accuracy(workdir)
  assert 0 < _values(report)["mean@8"] < 1


def test_figures_agree_with_each_other(report):
  own = _values(report)
  assert own["pass@1"] == pytest.approx(own["mean@8"]) == pytest.approx(own["maj@1"])
  rising = [own[f"pass@{k}"] for k in (1, 2, 4, 8)]
  assert rising == sorted(rising)
  for figure in report["figures"].values():
    if isinstance(figure, dict):
      assert 0 - 1e-9 <= figure["low"] <= figure["value"] <= figure["high"] <= 1 + 1e-9
  assert report["figures"]["problems"] == 12
  assert report["notes"] == []


def test_it_is_written_and_the_same_again(workdir, report):
  path = f"{workdir}/evaluation-44.json"
  with open(path, "rb") as file:
    before = file.read()
  assert json.loads(before) == json.loads(json.dumps(report, default=str))
  evaluate(None, workdir, Asked(samples=8), **_QUIET)
  with open(path, "rb") as file:
    assert file.read() == before
  other = evaluate(None, workdir, Asked(samples=8, seed=1), out=f"{workdir}/x.json", **_QUIET)
  assert _values(other) != _values(report)
  assert not [name for name in os.listdir(workdir) if name.endswith(".json.tmp")]


def test_a_report_of_other_arguments_is_kept(workdir, report):
  for _ in range(2):  # the second time its own is there
    evaluate(None, workdir, Asked(samples=0), **_QUIET)
  with open(f"{workdir}/evaluation-44.json") as first:
    assert json.load(first)["sampling"]["samples"] == 8
  with open(f"{workdir}/evaluation-44--2.json") as second:
    assert json.load(second)["sampling"]["samples"] == 0
  assert not os.path.exists(f"{workdir}/evaluation-44--3.json")


def test_a_place_without_a_folder_is_refused_before_anything_is_sampled(workdir, tmp_path):
  said = []
  with pytest.raises(ConfigError, match="there is no folder"):
    evaluate(None, workdir, Asked(samples=0), say=said.append, out=f"{tmp_path}/no/x.json")
  assert said == []


def test_how_many_are_answered_at_a_time_changes_nothing(workdir, report):
  for rows in (8, 500):
    asked = Asked(samples=8, batch_size=rows)
    found = evaluate(None, workdir, asked, out=f"{workdir}/x.json", **_QUIET)
    assert found["figures"] == report["figures"]


def test_more_samples_than_rows_are_written_in_parts(workdir):
  asked = Asked(samples=10, k=(1, 10), batch_size=4)
  found = evaluate(None, workdir, asked, out=f"{workdir}/x.json", **_QUIET)
  assert list(_values(found)) == [
    "greedy/accuracy", "mean@10", "pass@1", "pass@10", "maj@1", "maj@10"
  ]  # fmt: skip


@pytest.mark.parametrize("mode", ["pmap", "mesh"])
def test_devices_change_nothing(workdir, report, mode):
  own = _experiment(parallel=config.Parallel(mode=mode))
  found = evaluate(own, workdir, Asked(samples=8), out=f"{workdir}/x.json", **_QUIET)
  assert found["figures"] == report["figures"]


@pytest.mark.slow
def test_each_field_of_sampling_is_heard(workdir, report):
  for own in (
    {"temperature": 0.3},
    {"top_k": 3},
    {"top_p": 0.5},
    {"min_p": 0.5},
    {"max_tokens": 2},
  ):
    asked = Asked(samples=8, **own)
    found = evaluate(None, workdir, asked, out=f"{workdir}/x.json", **_QUIET)
    assert found["figures"] != report["figures"], own


def test_the_greedy_answers_alone(workdir):
  found = evaluate(None, workdir, Asked(samples=0, problems=5), out=f"{workdir}/x.json", **_QUIET)
  assert list(_values(found)) == ["greedy/accuracy"]
  assert found["figures"]["problems"] == 5


def test_another_task_is_judged_by_its_own_reward(workdir):
  countdown = "Countdown(numbers=2, question='{numbers}>{target}')"
  task = f"Mixture(tasks={{'a': Addition(low=0, high=5), 'b': {countdown}}})"
  found = evaluate(None, workdir, Asked(task=task, samples=2, problems=4), **_QUIET)
  assert found["reward"] == "task"
  assert set(found["groups"]) == {"task a", "task b"}
  assert "maj@2" in _values(found, "task a")
  assert "maj@2" not in _values(found, "task b")
  assert "maj@2" not in _values(found)
  assert "'countdown' reads no final answer" in found["notes"][0]
  assert os.path.exists(f"{workdir}/evaluation-44-Mixture.json")


def test_levels_of_a_curriculum_and_a_column_on_difficulty(workdir, tmp_path):
  climb = "Curriculum(task=Addition(low=0, question='{a}+{b}='), levels={'high': (9, 19)})"
  found = evaluate(None, workdir, Asked(task=climb, samples=0, problems=6), **_QUIET)
  assert {name: own["problems"] for name, own in found["groups"].items()} == {
    "level 0": 3, "level 1": 3,
  }  # fmt: skip
  (tmp_path / "own.py").write_text(
    "def sample(seed, step, count):\n"
    "  return [{'question': f'{seed}{step}{n}', 'answer': '1'} for n in range(count)]\n"
    "def held_out(count):\n"
    "  return [{'question': f'h{n}', 'answer': '1', 'difficulty': n % 3} for n in range(count)]\n"
  )
  own = evaluate(
    None, workdir, Asked(task=str(tmp_path / "own.py"), samples=0, problems=6), **_QUIET
  )
  assert list(own["groups"]) == ["difficulty 0", "difficulty 1", "difficulty 2"]


def test_a_reward_of_ones_own_is_called_in_workers(workdir, tmp_path):
  path = tmp_path / "own.py"
  path.write_text(
    "import os\ndef pid(prompt, completion, fields):\n"
    f"  assert os.getpid() != {os.getpid()}\n  return 1 / (prompt != '0+0=')\n"
  )
  asked = Asked(reward=f"{path}:pid", samples=2)
  found = evaluate(None, workdir, asked, out=str(tmp_path / "x.json"), **_QUIET)
  assert _values(found)["mean@2"] == pytest.approx(1 - found["figures"]["sampled/unscored"])
  assert "reads no final answer" in found["notes"][0]


def test_programs_are_judged_in_the_sandbox(workdir, tmp_path):
  rows = [
    {"question": f"q{n}", "tests": [{"call": "f", "args": [], "expected": n}]} for n in range(30)
  ]
  path = tmp_path / "rows.jsonl"
  path.write_text("".join(json.dumps(row) + "\n" for row in rows))
  task = f"Programs(train={str(path)!r}, held_out_share=0.5)"
  found = evaluate(None, workdir, Asked(task=task, samples=1, problems=3), **_QUIET)
  assert _values(found)["mean@1"] == 0
  assert found["figures"]["sampled/unscored"] == 0


def test_episodes_of_an_environment():
  turns = {"max_tokens": 3, "turns": 2, "observation_tokens": 4}
  task = config.Guess(low=0, high=9, question="{low}-{high}?")
  stages = {"sft": config.SFT(steps=1, batch_size=4, max_tokens=12)}
  own = small.experiment(
    task=task, stages=stages, evaluation={"reward": "episode", "problems": 8, **turns}
  )
  found = evaluate(own, None, Asked(samples=4), **_QUIET)
  assert found["checkpoint"] == "start"
  assert "mean@4" in _values(found)
  assert "'episode' reads no final answer" in found["notes"][0]


@pytest.mark.parametrize(
  ("asked", "said"),
  [
    ({"k": (1, 32)}, "--k: 32 of --samples=16"),
    ({"k": (1,), "samples": 0}, "--k=1 is of sampled answers"),
    ({"temperature": 0.0}, "is greedy: all samples"),
    ({"top_p": 1.5}, "samples.top_p=1.5: must be"),
    ({"problems": 99}, "--problems=99: at most"),
    ({"problems": 0}, "problems=0: must be >= 1"),
    ({"max_tokens": 48}, "evaluation.max_tokens=48: the model's"),
    ({"reward": "numbr"}, "did you mean 'number'"),
    ({"reward": "solution"}, "evaluation has texts"),
    ({"reward": "episode"}, "the task is none"),
    ({"task": "Guess", "reward": "task"}, "is 'episode', not 'task'"),
    ({"task": "Addition(low=3, high=2)"}, "--task: low=3 must be below high=2"),
    ({"task": "nowhere.py"}, "there is no file nowhere.py"),
    ({"checkpoint": "7"}, "has no checkpoint 7"),
  ],
)
def test_what_cannot_be_evaluated_is_one_line(workdir, asked, said):
  with pytest.raises(ConfigError) as error:
    evaluate(None, workdir, Asked(**asked), **_QUIET)
  assert said in str(error.value)
  assert "\n" not in str(error.value)


def test_a_reward_that_scores_nothing_is_one_line(workdir, tmp_path):
  path = tmp_path / "own.py"
  path.write_text("def nothing(prompt, completion, fields):\n  return float('nan')\n")
  with pytest.raises(RuntimeError, match="could score none of 12 answers"):
    evaluate(None, workdir, Asked(reward=f"{path}:nothing"), **_QUIET)


def test_the_command_prints_a_table(workdir, report, capsys):
  asked = {"checkpoint": "latest", "samples": 8, "seed": 0}
  launch.evaluate(None, workdir, f"{workdir}/x.json", ["1", "8"], asked)
  out = capsys.readouterr().out
  figure = report["figures"]["pass@8"]
  assert f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]" in out
  assert "12 held-out problems, Addition, judged by 'number', 8 samples each" in out
  assert "sampled: 12 of 12 problems, 8 answers each" in out
  assert "bootstraps over problems" in out


def test_a_bad_k_is_one_line(workdir, capsys):
  with pytest.raises(SystemExit) as stopped:
    launch.evaluate(None, workdir, "", ["one"], {})
  assert stopped.value.code == 2
  assert capsys.readouterr().err == "error: --k=one: expected numbers, as in --k=1,4,16\n"


def test_as_a_person_types_it(workdir, tmp_path):
  folder = shutil.copytree(workdir, tmp_path / "run")
  command = [sys.executable, "-m", "experiments.evaluate", f"--workdir={folder}", "--samples=2"]
  done = subprocess.run([*command, "--k=2"], cwd=_ROOT, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  assert f"checkpoint 44 (grpo) of {folder}" in done.stdout
  assert os.path.exists(folder / "evaluation-44.json")
