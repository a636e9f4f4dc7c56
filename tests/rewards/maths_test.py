"""math-verify in workers: equal answers, hostile ones, and a deadline."""

import time

import numpy as np
import pytest

from grpo_jax.config import ConfigError, Scoring
from grpo_jax.isolated.pool import Workers
from grpo_jax.rewards import isolated as isolated_rewards
from grpo_jax.rewards import resolve, score

pytest.importorskip("math_verify")
pytest.importorskip("pebble")


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
  log = str(tmp_path_factory.mktemp("maths") / "log")
  path = isolated_rewards.ISOLATED["math"].path
  made = Workers(Scoring(workers=1, timeout_s=3, memory_gb=4), log, [path])
  score({"math": 1.0}, ["?"], [["1"]], [{"answer": "1"}], workers=made)  # it is there
  yield made
  made.close()


def _scores(workers, answer, texts):
  return score({"math": 1.0}, ["?"], [texts], [{"answer": answer}], workers=workers)


@pytest.mark.parametrize(
  ("answer", "right", "wrong"),
  [
    (
      "72",
      ["72", "72.0", "\\boxed{72}", "So it is $72$.", "<answer>72</answer>"],
      ["71", "", "no"],
    ),
    (
      "\\frac{1}{2}",
      ["0.5", "1/2", "\\boxed{\\frac{2}{4}}", "$\\tfrac12$"],
      ["\\boxed{2}", "0.51"],
    ),
    (
      "x^2 + 2x + 1",
      ["\\boxed{(x+1)^2}", "$1 + 2x + x^2$", "<answer>(1+x)^2</answer>"],
      ["\\boxed{(x-1)^2}"],
    ),
    ("1234", ["1,234", "\\boxed{1{,}234}"], ["1,235", "<answer>1</answer> 1234"]),
  ],
)
def test_equal_answers_are(workers, answer, right, wrong):
  found = _scores(workers, answer, right + wrong).total[0]
  np.testing.assert_array_equal(found, [1] * len(right) + [0] * len(wrong))


def test_powers_without_end_cost_one_answer_and_soon(workers):
  """Fault 14: math-verify's issue 65."""
  started = time.monotonic()
  found = _scores(workers, "5", ["5", "$5^{5^{5^{5^{5}}}}$", "5"])
  assert time.monotonic() - started < 15
  np.testing.assert_array_equal(found.total[0, [0, 2]], 1)
  assert np.isnan(found.total[0, 1]) or found.total[0, 1] == 0
  assert sum(found.failures.values()) == int(np.isnan(found.total[0, 1]))


def test_what_an_answer_says_is_not_run(workers, tmp_path):
  canary = tmp_path / "canary"
  texts = [f"\\boxed{{open('{canary}','w')}}", f"$__import__('os').mkdir('{canary}')$"]
  _scores(workers, "5", ["5", *texts])
  assert not canary.exists()


def test_an_answer_that_is_none_has_no_score(workers):
  found = score({"math": 1.0}, ["?", "?"], [["1"], ["1"]], [{"answer": "1"}, {"answer": " "}],
                workers=workers)  # fmt: skip
  assert found.total[0, 0] == 1
  assert np.isnan(found.total[1, 0])
  assert sum(found.failures.values()) == 0


def test_it_needs_its_library_and_workers(monkeypatch):
  with pytest.raises(ConfigError, match=r"config.scoring.workers must be 1 or more"):
    score({"math": 1.0}, ["?"], [["1"]], [{"answer": "1"}])
  monkeypatch.setattr(isolated_rewards.importlib.util, "find_spec", lambda name: None)
  with pytest.raises(ConfigError, match=r"needs math_verify: pip install 'grpo_jax\[math\]'"):
    resolve("math")
