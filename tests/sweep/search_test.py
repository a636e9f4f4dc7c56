"""The space of an experiment: refused before any trial where a corner cannot be run."""

import optuna
import pytest

from grpo_jax.config import ConfigError
from grpo_jax.sweep.launch import checked
from grpo_jax.sweep.samplers import make_pruner
from grpo_jax.sweep.search import make_search
from tests.sweep.helpers import LR, options


def _refused(tmp_path, *words, **fields):
  with pytest.raises(ConfigError) as error:
    checked(options(tmp_path, **fields))
  assert "\n" not in str(error.value)
  for word in words:
    assert word in str(error.value)


@pytest.mark.parametrize(
  ("space", "words"),
  [
    ("stages.grpo.optimizer.lrr=log(1,2)", ["config.stages.grpo.optimizer", "did you mean 'lr'?"]),
    ("stages.grpo.optimizer.learning_rate=log(1,2)", ["did you mean 'lr'?"]),
    ("stages.gpro.steps=int(1,2)", ["'gpro'", "did you mean 'grpo'?"]),
    ("stages.grpo.optimizer=choice(1)", ["is a group", "name one of lr"]),
    ("seed.x=int(1,2)", ["config.seed is a value"]),
    ("seed=int(-1,2)", ["config.seed=-1: must be >= 0", "(at seed=-1)"]),
    ("seed=uniform(0,2)", ["config.seed=0.0: expected int"]),
    ("stages.grpo.loss.objective=choice(ppo_clip,nope,cispo)", ["'nope'", "must be one of"]),
    (f"seed=int(0,1);{LR}=uniform(0.1,2);stages.grpo.optimizer.beta1=uniform(0,1)", ["beta1=1"]),
    # No corner can be run.
    (f"{LR}=log(1e-6,1e-5)", ["min_lr=3e-05 is the floor and cannot be above lr=1e-06"]),
  ],
)
def test_a_corner_that_cannot_be_run_is_one_line(tmp_path, space, words):
  _refused(tmp_path, *words, space=space)


@pytest.mark.parametrize(
  ("fields", "words"),
  [
    ({"workdir": ""}, ["--workdir is missing"]),
    ({"objective": "eval/acuracy"}, ["did you mean 'eval/accuracy'?"]),
    ({"sampler": "grid"}, [LR, "needs steps"]),
    ({"space": ""}, ["--space is missing", "get_space"]),
    ({"space": "get_space"}, ["--space=get_space", "has no function"]),
  ],
)
def test_what_is_asked_wrongly_is_one_line(tmp_path, fields, words):
  asked = {"workdir": tmp_path} | fields
  with pytest.raises(ConfigError) as error:
    checked(options(**asked))
  assert all(word in str(error.value) for word in words), error.value


def test_pruning_needs_scores_on_the_way(tmp_path):
  asked = options(tmp_path, pruner="median")
  asked.experiment.evaluation.every = 0
  with pytest.raises(ConfigError, match=r"evaluation\.every"):
    checked(asked)


def test_a_contradiction_at_some_corners_is_a_note(tmp_path):
  """Neither end alone contradicts anything, both together do."""
  assert not checked(options(tmp_path)).note
  space = f"{LR}=choice(1e-3,1e-4); stages.grpo.optimizer.min_lr=choice(0.0,5e-4)"
  note = checked(options(tmp_path, space=space)).note
  assert note.startswith("1 of 4 corners of the space cannot be run")
  assert "min_lr=0.0005 is the floor" in note


_FUNCTION = """
def get_space(trial):
  objective = trial.suggest_categorical("objective", ["ppo_clip", "cispo"])
  space = {"stages.grpo.loss.objective": objective}
  if objective == "cispo":
    space["config.stages.grpo.loss.ratio_cap"] = trial.suggest_float("cap", %s, 8)
  return space
"""


def _file(tmp_path, text):
  path = tmp_path / "experiment.py"
  path.write_text(text)
  return str(path)


def test_a_function_may_ask_for_what_hangs_on_another_value(tmp_path):
  search = make_search(options(tmp_path, file=_file(tmp_path, _FUNCTION % 2), space=""))
  trial = optuna.trial.FixedTrial({"objective": "cispo", "cap": 5.0})
  assert search.suggest(trial)["stages.grpo.loss.ratio_cap"] == 5.0
  assert len(search.suggest(optuna.trial.FixedTrial({"objective": "ppo_clip"}))) == 1


def test_its_corners_are_checked_too(tmp_path):
  _refused(tmp_path, "ratio_cap=-1", file=_file(tmp_path, _FUNCTION % -1), space="get_space")


@pytest.mark.parametrize(
  ("body", "words"),
  [
    ("return 3", ["must return a dict"]),
    ("return {}", ["must return a dict"]),
    ("return {'seed': None}", ["'seed': None is no number"]),
    ("return {'sed': 1}", ["did you mean 'seed'?"]),
    ("return missing", ["NameError", "missing"]),
  ],
)
def test_a_function_that_goes_wrong_is_one_line(tmp_path, body, words):
  text = f"def get_space(trial):\n  {body}\n"
  _refused(tmp_path, *words, file=_file(tmp_path, text), space="get_space")


def test_a_function_is_known_by_its_code_and_not_its_comments(tmp_path):
  texts = [_FUNCTION % 2, _FUNCTION % 2 + "# a comment\n", _FUNCTION % 3]
  found = [
    make_search(options(tmp_path, file=_file(tmp_path, text), space="")).text for text in texts
  ]
  assert found[0] == found[1] != found[2]


def test_the_ceiling_prunes_what_is_predicted_to_end_below_the_best():
  """Sigmoids to 0.3 and to 0.9, seen to their middle; the best so far is 0.8."""
  pruner = make_pruner("ceiling", 100)
  done = optuna.trial.create_trial(value=0.8)
  told = []
  for ceiling in (0.3, 0.9):
    study = optuna.create_study(direction="maximize", pruner=pruner)
    study.add_trial(done)
    trial = study.ask()
    for step in range(0, 61, 5):
      trial.report(ceiling / (1 + (20 / max(step, 1e-9)) ** 3), step)
    told.append(trial.should_prune())
  assert told == [True, False]
  assert not optuna.create_study(pruner=pruner).ask().should_prune()  # nothing is known yet


def test_a_ceiling_of_what_is_better_low_is_refused(tmp_path):
  with pytest.raises(ConfigError, match="of which more is better"):
    checked(options(tmp_path, pruner="ceiling", direction="minimize", objective="eval/length"))
