"""The learning curve: drawn whatever figures a run has, with honest intervals."""

import json
import math
import struct
import sys
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_jax.estimators import wilson
from grpo_jax.report.lines import on_one_axis, series
from grpo_jax.run import picture

_ACCURACY = {"eval/accuracy": 0.25, "eval/problems": 200}


def _stage(name, steps, **figures):
  """An evaluation before a stage, its steps, and an evaluation after."""
  return [
    {"stage": name, "step": 0} | _ACCURACY,
    *({"stage": name, "step": step} | figures for step in range(1, steps + 1)),
    {"stage": name, "step": steps} | _ACCURACY,
  ]


_SFT = _stage("sft", 5, **{"loss/sft": 1.0, "train/lr": 1e-3, "train/grad_norm": 0.5})
_GRPO = _stage(
  "grpo", 12, **{"reward/mean": 0.5, "length/mean": 3.0, "policy/entropy": None, "train/lr": 1e-4}
)


def _file(folder, lines):
  path = folder / "metrics.jsonl"
  path.write_text("".join(json.dumps(line) + "\n" for line in lines))
  return str(path)


@pytest.mark.parametrize(
  "lines",
  [
    _GRPO,
    [*_SFT, *_GRPO],
    _SFT,
    _GRPO[1:-1],
    [{"stage": "sft", "step": 0} | _ACCURACY],
    [{"stage": "grpo", "step": 1, "reward/mean": None, "train/lr": None}],
    [],
  ],
  ids=["one stage", "two", "no reward", "no accuracy", "one point", "nothing but null", "empty"],
)
def test_a_picture_is_made_of_what_is_there(tmp_path, lines):
  pytest.importorskip("matplotlib")
  out = tmp_path / "curve.png"
  with warnings.catch_warnings():
    warnings.simplefilter("error", UserWarning)  # matplotlib's complaints
    picture.learning_curve(_file(tmp_path, lines), str(out))
  content = out.read_bytes()
  assert content.startswith(b"\x89PNG\r\n\x1a\n")
  width, height = struct.unpack(">II", content[16:24])
  assert width >= 1000
  assert height >= 700


def test_stages_stand_one_after_the_other(tmp_path):
  lines, boundaries = on_one_axis(_file(tmp_path, [*_SFT, *_GRPO]))
  assert boundaries == [("sft", 0), ("grpo", 5)]
  assert [line["x"] for line in lines] == [0, 1, 2, 3, 4, 5, 5, 5, *range(6, 18), 17]


def test_a_torn_line_costs_itself_only(tmp_path):
  pytest.importorskip("matplotlib")
  path = tmp_path / "metrics.jsonl"
  path.write_bytes(
    b"".join(json.dumps(line).encode() + b"\n" for line in _GRPO)
    + b'[]\n{"stage": 1, "step": 2}\n{"step": 3}\n\xff\n{"stage": "grpo", "ste'
  )
  assert len(on_one_axis(str(path))[0]) == len(_GRPO)
  picture.learning_curve(str(path), str(tmp_path / "curve.png"))
  assert (tmp_path / "curve.png").stat().st_size > 0


def test_an_accuracy_on_an_unknown_number_of_problems_has_no_interval(tmp_path):
  pytest.importorskip("matplotlib")
  lines = [*_GRPO, {"stage": "grpo", "step": 12, "eval/accuracy": 0.5, "eval/problems": None}]
  picture.learning_curve(_file(tmp_path, lines), str(tmp_path / "curve.png"))
  assert (tmp_path / "curve.png").stat().st_size > 0


def test_learning_rates_far_apart_are_both_to_be_seen():
  def lines(lr):
    return [{"stage": "sft", "train/lr": 0.0}, {"stage": "sft", "train/lr": 1e-3}, lr]

  assert picture._far_apart(lines({"stage": "grpo", "train/lr": 2e-5}), "train/lr")
  assert not picture._far_apart(lines({"stage": "grpo", "train/lr": 2e-4}), "train/lr")
  assert not picture._far_apart(lines({"stage": "sft", "train/lr": 1e-6}), "train/lr")
  assert not picture._far_apart(lines({"stage": "grpo", "train/lr": None}), "train/lr")
  assert not picture._far_apart([], "train/lr")


def test_null_is_left_out_of_a_line(tmp_path):
  lines, _ = on_one_axis(
    _file(tmp_path, [{"stage": "a", "step": i, "y": y} for i, y in enumerate((1, None, 0))])
  )
  assert series(lines, "y") == ([0, 2], [1, 0])


@given(share=st.floats(0, 1), count=st.integers(1, 10_000))
def test_the_interval_holds_the_shares_from_which_it_is_not_far(share, count):
  """Wilson: an end p solves |share - p| = z sqrt(p (1 - p) / count)."""
  low, high = wilson(share, count)
  assert -1e-9 <= low <= share + 1e-9
  assert share - 1e-9 <= high <= 1 + 1e-9
  for p in (max(low, 0), min(high, 1)):
    assert (share - p) ** 2 == pytest.approx(1.96**2 * p * (1 - p) / count, abs=1e-9)


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "matplotlib", None)
  with pytest.raises(ImportError, match=r"pip install 'grpo_jax\[report\]'"):
    picture.learning_curve(_file(tmp_path, _GRPO), str(tmp_path / "curve.png"))
  assert math.isclose(wilson(0.5, 100)[0], 0.4038, abs_tol=1e-4)  # needs none


def test_the_running_mean_does_not_cross_stages():
  lines = [
    {"stage": stage, "reward/mean": value}
    for stage, value in [("a", 1.0), ("a", 0.0), ("b", 0.5), ("b", 1.5)]
  ]
  assert picture._smoothed(lines) == [1.0, 0.5, 0.5, 1.0]
  long = [{"stage": "a", "reward/mean": float(i)} for i in range(12)]
  assert picture._smoothed(long)[-1] == pytest.approx(sum(range(2, 12)) / 10)
