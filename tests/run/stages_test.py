"""Stages as config: where they end, what they take over, and running a part of them."""

import json
import os

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from grpo_jax import config, weights
from grpo_jax.run import loop
from grpo_jax.run.checkpoint import Checkpointer
from grpo_jax.run.export import export

_QUICK = {"lr": 1e-2, "min_lr": 1e-2}


def _grpo(**fields) -> config.GRPO:
  sizes = config.Rollout(prompts=4, group_size=4, max_tokens=3)
  fields = {"steps": 3, "rewards": {"random": 1.0}} | fields
  return config.GRPO(rollout=sizes, optimizer=config.Optimizer(**_QUICK), **fields)


def _sft(**fields) -> config.SFT:
  fields = {"steps": 3} | fields
  return config.SFT(batch_size=8, max_tokens=3, optimizer=config.Optimizer(**_QUICK), **fields)


def _ppo(**fields) -> config.PPO:
  return config.PPO(
    steps=2, rollout=config.Rollout(prompts=4, group_size=2, max_tokens=3), **fields
  )


def experiment(stages, **evaluation) -> config.Experiment:
  shape = {"hidden_size": 8, "layers": 1, "heads": 1, "kv_heads": 1, "head_size": 8, "ffn_size": 8}
  return config.Experiment(
    model=config.Model(
      tokenizer="characters", architecture=config.Architecture(context_length=16, **shape)
    ),
    task=config.Addition(low=0, high=9, question="{a}+{b}="),
    evaluation=config.Evaluation(problems=8, max_tokens=3, **evaluation),
    stages=stages,
  )


def run(stages, workdir, chosen=(), **evaluation):
  said = []
  loop.run(experiment(stages, **evaluation), str(workdir), say=said.append, stages=chosen)
  return "\n".join(said)


def lines(workdir):
  with open(os.path.join(workdir, "metrics.jsonl"), encoding="utf-8") as file:
    return [json.loads(line) for line in file]


def places(workdir):
  return [(line["stage"], line["step"]) for line in lines(workdir) if "train/lr" in line]


def params(workdir):
  checkpoints = Checkpointer(str(workdir), config.Checkpoint())
  saved = checkpoints.saved(checkpoints.latest())
  checkpoints.close()
  return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(saved["params"])])


_TIRED = config.Stop(patience=1)  # accuracy stays 0: the second evaluation is no better


def test_a_stage_that_stops_early_hands_over_to_the_next(tmp_path):
  said = run({"sft": _sft(steps=9, stop=_TIRED), "grpo": _grpo()}, tmp_path, every=2)
  assert places(tmp_path) == [("sft", n) for n in (1, 2, 3, 4)] + [("grpo", n) for n in (1, 2, 3)]
  assert "sft: ends after step 4 of 9" in said


@pytest.mark.fault(33)
@pytest.mark.slow
def test_a_run_killed_after_a_stage_stopped_goes_on_in_the_next(tmp_path):
  """The stop is not a file of its own: it is read from the evaluations that are written."""
  stages = {"sft": _sft(steps=9, stop=_TIRED), "grpo": _grpo()}
  run(stages, tmp_path / "whole", every=2)

  class KilledError(Exception):
    pass

  def kill(line):
    if line.startswith("sft: ends"):
      raise KilledError

  with pytest.raises(KilledError):
    loop.run(experiment(stages, every=2), str(tmp_path / "parts"), say=kill)
  assert places(tmp_path / "parts") == [("sft", n) for n in (1, 2, 3, 4)]
  run(stages, tmp_path / "parts", every=2)
  assert places(tmp_path / "parts") == places(tmp_path / "whole")
  np.testing.assert_array_equal(params(tmp_path / "parts"), params(tmp_path / "whole"))


def test_with_patience_the_policy_goes_on_as_it_was_at_its_best(tmp_path):
  """Its best evaluation is the first, after step 1: the next stage starts from there."""
  stop = config.Stop(figure="eval/length", patience=2, lower=False)
  stages = {"sft": _sft(steps=9, stop=stop), "grpo": _grpo(steps=1)}
  said = run(stages, tmp_path / "a", every=1)
  lengths = [
    line["eval/length"]
    for line in lines(tmp_path / "a")
    if line["stage"] == "sft" and line["step"]
    if "eval/length" in line
  ]
  best = max(range(len(lengths)), key=lambda at: lengths[at]) + 1
  assert best < len(lengths)
  assert "goes on as it was at its best eval/length" in said
  checkpoints = Checkpointer(str(tmp_path / "a"), config.Checkpoint())
  kept = checkpoints.best("sft", checkpoints.saved(checkpoints.latest())["params"])
  last = checkpoints.saved(checkpoints.latest())["params"]
  checkpoints.close()
  flat = [np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)]) for tree in (kept, last)]
  # One GRPO step of Adam moves each parameter by lr at most; the steps after the best moved more.
  assert np.abs(flat[0] - flat[1]).max() <= 1.01e-2


@pytest.mark.slow
def test_stages_run_one_by_one_are_the_whole_run(tmp_path):
  stages = {"sft": _sft(), "grpo": _grpo(), "more": _grpo()}
  run(stages, tmp_path / "whole")
  for chosen in (["sft"], ["grpo", "more"]):
    run(stages, tmp_path / "parts", chosen)
  assert places(tmp_path / "parts") == places(tmp_path / "whole")
  np.testing.assert_array_equal(params(tmp_path / "parts"), params(tmp_path / "whole"))


def test_a_stage_alone_starts_from_the_model(tmp_path):
  stages = {"sft": _sft(), "grpo": _grpo()}
  run(stages, tmp_path, ["grpo"])
  assert {stage for stage, _ in places(tmp_path)} == {"grpo"}


def test_a_stage_is_not_left_before_its_end(tmp_path):
  stages = {"sft": _sft(), "grpo": _grpo()}

  def kill(line):
    if line.startswith("sft after step 2"):
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    loop.run(experiment(stages, every=1), str(tmp_path), say=kill)
  with pytest.raises(config.ConfigError, match="stage 'sft' is at step 1 of 3: name it too"):
    run(stages, tmp_path, ["grpo"], every=1)


@pytest.mark.parametrize("chosen", [["ppo"], ["grpo", "sft"], ["sft", "sft"]])
def test_stages_that_are_not_there_or_out_of_order_are_refused(chosen, tmp_path):
  with pytest.raises(config.ConfigError, match="must be some of sft,grpo, in this order"):
    run({"sft": _sft(), "grpo": _grpo()}, tmp_path, chosen)
  assert not os.listdir(tmp_path)


@pytest.mark.slow
def test_kept_moments_make_another_run_of_the_same_lengths(tmp_path):
  for moments in ("fresh", "keep"):
    more = _grpo(switch=config.Switch(moments=moments))
    run({"grpo": _grpo(), "more": more}, tmp_path / moments)
  assert places(tmp_path / "fresh") == places(tmp_path / "keep")
  assert not np.array_equal(params(tmp_path / "fresh"), params(tmp_path / "keep"))


@pytest.mark.slow
def test_moments_kept_by_one_long_stage_and_by_two_are_the_same(tmp_path):
  """With a constant rate and the same data, cutting a stage in two changes nothing but keys."""
  flat = config.Optimizer(lr=1e-2, min_lr=0.0, schedule="constant")
  two = {"a": _sft(), "b": _sft(switch=config.Switch(moments="keep"))}
  for stage in two.values():
    stage.optimizer = flat
  one = {"a": _sft(steps=6)}
  one["a"].optimizer = flat
  run(two, tmp_path / "two")
  run(one, tmp_path / "one")
  np.testing.assert_array_equal(params(tmp_path / "two"), params(tmp_path / "one"))


def test_moments_of_another_optimizer_cannot_be_kept(tmp_path):
  other = _grpo(switch=config.Switch(moments="keep"))
  other.optimizer = config.Optimizer(**_QUICK, max_grad_norm=0.0)
  with pytest.raises(config.ConfigError, match="an optimiser of another kind"):
    run({"sft": _sft(), "grpo": other}, tmp_path)


@pytest.mark.slow
def test_a_kept_reference_is_the_first_policy_of_the_stage_before(tmp_path):
  """Against a reference of its own the KL of a stage's first step is 0."""
  first = {}
  for reference in ("fresh", "keep"):
    loss = config.LossConfig(kl_coefficient=0.1)
    more = _grpo(loss=loss, switch=config.Switch(reference=reference))
    run({"grpo": _grpo(loss=loss), "more": more}, tmp_path / reference)
    first[reference] = next(
      line["policy/kl_ref"]
      for line in lines(tmp_path / reference)
      if line["stage"] == "more" and "policy/kl_ref" in line
    )
  assert first["fresh"] == pytest.approx(0, abs=1e-9)
  assert first["keep"] > 1e-6


@pytest.mark.parametrize(
  ("stages", "said"),
  [
    ({"grpo": _grpo(switch=config.Switch(moments="keep"))}, "in the first stage"),
    (
      {"sft": _sft(), "grpo": _grpo(switch=config.Switch(reference="keep"))},
      "needs loss.kl_coefficient above 0 here and in a stage before",
    ),
  ],
)
def test_nothing_is_kept_where_there_is_nothing(stages, said):
  with pytest.raises(config.ConfigError, match=said):
    config.check(experiment(stages))


def test_a_stage_has_a_task_of_its_own(tmp_path):
  own = config.Addition(low=0, high=9, question="{b}+{a}=")
  for name, task in (("shared", None), ("own", own)):
    run({"sft": _sft(task=task)}, tmp_path / name)
  assert not np.array_equal(params(tmp_path / "shared"), params(tmp_path / "own"))


def test_scores_are_told_beside_the_accuracy_and_in_the_last_table(tmp_path):
  said = run({"sft": _sft(), "grpo": _grpo()}, tmp_path, scores=("closeness", "exact"))
  evaluated = [line for line in lines(tmp_path) if "eval/accuracy" in line]
  assert all({"eval/closeness", "eval/exact"} <= line.keys() for line in evaluated)
  rows = [line.split() for line in said.splitlines() if line.startswith(("after", "      start"))]
  assert [row[:-3] for row in rows] == [["start"], ["after", "sft"], ["after", "grpo"]]


def _judged() -> dict[str, config.Stage]:
  """A reward model of the assistant world, and a stage that it rewards."""
  quick = config.Optimizer(**_QUICK)
  model = config.RewardModel(
    steps=2, batch_size=4, max_tokens=30, held_out_pairs=4, optimizer=quick
  )
  sft = config.SFT(steps=3, batch_size=8, max_tokens=30, optimizer=quick)
  return {"sft": sft, "judge": model, "rl": _grpo(rewards={"stage:judge": 1.0})}


def _world(stages, scores, **sizes) -> config.Experiment:
  own = experiment(stages, scores=scores, reward="gold")
  own.model.architecture.context_length = 96
  own.task = config.Assistant()
  own.stages["rl"].steps_per_program = sizes.get("steps_per_program", 1)
  own.evaluation.every = own.checkpoint.every = 3
  return own


@pytest.mark.slow
def test_a_learned_reward_is_a_held_out_score_once_its_stage_has_ended(tmp_path):
  loop.run(_world(_judged(), ("stage:judge",)), str(tmp_path), say=lambda line: None)
  found = [line for line in lines(tmp_path) if "eval/accuracy" in line]
  assert {line["stage"] for line in found} == {"sft", "rl"}
  for line in found:
    assert ("eval/stage:judge" in line) == (line["stage"] == "rl")
    assert np.isfinite(line.get("eval/stage:judge", 0.0))


@pytest.mark.slow
def test_many_steps_in_one_program_by_a_learned_reward_are_those_of_the_host(tmp_path):
  for name, steps in (("host", 1), ("program", 3)):
    own = _world(_judged(), (), steps_per_program=steps)
    loop.run(own, str(tmp_path / name), say=lambda line: None)
  host, program = lines(tmp_path / "host"), lines(tmp_path / "program")
  assert len(host) == len(program)
  for name in ("reward/mean", "train/grad_norm"):
    left, right = ([line[name] for line in of if name in line] for of in (host, program))
    assert left == pytest.approx(right, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("name", ["stage:rl", "stage:jugde"])
def test_a_held_out_score_of_no_reward_model_is_one_line(name, tmp_path):
  with pytest.raises(config.ConfigError, match=f"'{name}' is no RewardModel stage; .*stage:judge"):
    loop.run(_world(_judged(), (name,)), str(tmp_path), say=lambda line: None)


def test_a_reward_model_alone_is_a_run(tmp_path):
  own = _world({"judge": _judged()["judge"], "rl": _grpo()}, ())
  own.stages = {"judge": own.stages["judge"]}
  said = []
  assert loop.run(own, str(tmp_path), say=said.append) == {}
  assert "held-out accuracy" not in "\n".join(said)
  assert (tmp_path / "reward_models" / "judge").exists()


def test_the_first_stage_that_runs_is_evaluated_before_its_first_step(tmp_path):
  run({"sft": _sft(), "grpo": _grpo()}, tmp_path, ["grpo"])
  found = [(n["stage"], n["step"]) for n in lines(tmp_path) if "eval/accuracy" in n]
  assert found == [("grpo", 0), ("grpo", 3)]


@pytest.mark.parametrize(
  ("first", "then", "said"),
  [
    pytest.param(
      *("grpo after step 2", ["sft"], "stage 'grpo' is at step 1 of 3: name it too"),
      marks=pytest.mark.slow,
    ),
    (None, ["sft"], "this run is past it, in 'grpo'"),
  ],
)
def test_a_stage_that_was_not_named_is_not_trained(tmp_path, first, then, said):
  stages = {"sft": _sft(), "grpo": _grpo()}

  def kill(line):
    if first and line.startswith(first):
      raise KeyboardInterrupt

  own = experiment(stages, every=1)
  own.checkpoint.every = 1
  if first:
    with pytest.raises(KeyboardInterrupt):
      loop.run(own, str(tmp_path), say=kill)
  else:
    loop.run(own, str(tmp_path), say=kill)
  before = places(tmp_path)
  again = experiment(stages, every=1)
  again.checkpoint.every = 1
  with pytest.raises(config.ConfigError, match=said):
    loop.run(again, str(tmp_path), say=lambda line: None, stages=then)
  after = places(tmp_path)
  assert after == before[: len(after)]  # up to the checkpoint


def test_what_goes_on_is_what_is_said_and_exported(tmp_path):
  """With patience: the table, the last line and the model are of the best evaluation."""
  stop = config.Stop(figure="eval/length", patience=2)
  said = run({"sft": _sft(steps=9, stop=stop)}, tmp_path / "run", every=1)
  own = [n for n in lines(tmp_path / "run") if "eval/length" in n and n["step"]]
  best = max(own, key=lambda line: (line["eval/length"], -line["step"]))
  assert best is not own[-1]
  assert f"-> {best['eval/accuracy']:.3f}" in said
  export(None, str(tmp_path / "run"), str(tmp_path / "model"))
  model = weights.load(str(tmp_path / "model")).params
  last = params(tmp_path / "run")
  flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(model)])
  assert not np.array_equal(flat, last)
  # By its number a checkpoint is what it is.
  assert export(None, str(tmp_path / "run"), str(tmp_path / "last"), str(own[-1]["step"])) == str(
    own[-1]["step"]
  )
  model = weights.load(str(tmp_path / "last")).params
  flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(model)])
  np.testing.assert_array_equal(flat, last)


@pytest.mark.slow
def test_a_reward_model_with_patience_is_left_as_it_was_at_its_best(tmp_path):
  """The learning rate is so high that it is worse at every evaluation but the first."""
  stages = _judged()
  stages["judge"].steps, stages["judge"].optimizer = 6, config.Optimizer(lr=0.5, min_lr=0.5)
  stages["judge"].stop = config.Stop(figure="eval/reward_loss", lower=True, patience=2)
  own = _world(stages, ())
  own.evaluation.every = own.checkpoint.every = 1
  loop.run(own, str(tmp_path), say=lambda line: None)
  losses = [n["eval/reward_loss"] for n in lines(tmp_path) if n["stage"] == "judge"
            and n["step"] and "eval/reward_loss" in n]  # fmt: skip
  assert losses[-1] > min(losses)
  checkpoints = Checkpointer(str(tmp_path), config.Checkpoint())
  left = ocp.StandardCheckpointer().restore(tmp_path / "reward_models" / "judge")["params"]
  best = checkpoints.best("judge", left)
  checkpoints.close()
  jax.tree.map(np.testing.assert_array_equal, left, best)


def test_the_last_checkpoint_of_each_stage_stays(tmp_path):
  own = experiment({"sft": _sft(steps=4), "grpo": _grpo(steps=5)}, every=1)
  own.checkpoint = config.Checkpoint(every=1, keep=1)
  loop.run(own, str(tmp_path), say=lambda line: None)
  kept = {int(path.name) for path in (tmp_path / "checkpoints").iterdir() if path.name.isdigit()}
  assert {4, 9} <= kept
  assert len(kept) <= 3  # and the best


LATE = {
  "no pairs": (
    {"judge": config.RewardModel(steps=2, max_tokens=3)},
    "the task has no preferences",
  ),
  "no file of pairs": (
    {
      "judge": config.RewardModel(
        max_tokens=3, pairs=config.Preferences(train="a.jsonl", held_out="b.jsonl")
      )
    },
    "a.jsonl: No such file",
  ),
  "no documents": ({"texts": config.Pretrain(length=8)}, "the task has no documents"),
  "no questions": (
    {"more": _sft(task=config.Questions(train="a.jsonl", held_out="b.jsonl"))},
    "a.jsonl: No such file",
  ),
  "no reward model": (
    {"rl": _grpo(rewards={"model:nofolder": 1.0})},
    "no reward model in nofolder",
  ),
  "no such figure": (
    {"rl": _grpo(stop=config.Stop(figure="eval/acuracy", patience=1))},
    "did you mean 'eval/accuracy'",
  ),
}


@pytest.mark.fault(20)
@pytest.mark.parametrize("name", LATE)
def test_what_a_later_stage_lacks_is_said_before_the_first_trains(name, tmp_path):
  later, said = LATE[name]
  with pytest.raises(config.ConfigError, match=said):
    run({"sft": _sft()} | later, tmp_path / "run", every=1)
  assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
  ("stages", "said"),
  [
    ({"a": _sft(stop=config.Stop(score=0.9))}, "score=0.9 is of held"),
    ({"a": _sft(stop=config.Stop(lower=True))}, "lower=True without a rule"),
    ({"a": _sft(stop=_TIRED)}, "evaluation.every=0: it is never asked"),
    (
      {"a": _sft(stop=_TIRED), "b": _sft(switch=config.Switch(moments="keep"))},
      "the policy of the best evaluation has the moments of another",
    ),
    (
      {"a": _ppo(), "b": _ppo(switch=config.Switch(moments="keep"))},
      "whose critic begins anew",
    ),
    (
      {
        "a": config.RewardModel(steps=2, max_tokens=3),
        "b": _sft(switch=config.Switch(moments="keep")),
      },
      "beside a reward model",
    ),
  ],
)
def test_rules_that_cannot_work_are_refused(stages, said):
  every = 0 if "every=0" in said else 1
  with pytest.raises(config.ConfigError, match=said):
    config.check(experiment(stages, every=every))


def test_a_reference_of_a_stage_that_has_not_run_here_is_refused(tmp_path):
  loss = config.LossConfig(kl_coefficient=0.1)
  stages = {"a": _grpo(loss=loss), "b": _grpo(loss=loss, switch=config.Switch(reference="keep"))}
  with pytest.raises(config.ConfigError, match="stage 'a', whose reference it is, has not run"):
    run(stages, tmp_path, ["b"])
