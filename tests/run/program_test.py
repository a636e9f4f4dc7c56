"""Many steps in one program are the run that the loop of the host makes, step by step."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from grpo_jax import config, tasks
from grpo_jax.parallel import make_devices
from grpo_jax.run import loop
from grpo_jax.run.grpo import make_grpo_runner
from grpo_jax.run.policy import load_policy
from grpo_jax.run.program import make_program_runner
from grpo_jax.run.stage import Setting
from tests import quick

STEPS, K = 6, 3
TASK = config.Addition(low=0, high=3, question="{a}+{b}=")
# A model that knows nothing finds no solution, but odd tokens it does write.
ODD = """
import jax.numpy as jnp
from grpo_jax.rewards import ArrayReward

@ArrayReward
def odd(rollout, solutions):
  first = rollout.tokens[..., 0] == solutions.tokens[:, :1]
  return first + jnp.mean(rollout.tokens % 2, axis=-1, where=rollout.mask)
"""


def experiment(**stage) -> config.Experiment:
  sizes = config.Rollout(prompts=8, group_size=8, max_tokens=3)
  fields = {"steps": STEPS, "rewards": {"solution": 1.0}, "rollout": sizes}
  return config.Experiment(
    model=config.Model(
      tokenizer="characters",
      architecture=config.Architecture(
        hidden_size=8, layers=1, heads=1, kv_heads=1, head_size=8, ffn_size=8, context_length=16
      ),
    ),
    evaluation=config.Evaluation(problems=2, max_tokens=4, every=K),
    checkpoint=config.Checkpoint(every=K),
    task=TASK,
    stages={"grpo": config.GRPO(**(fields | stage))},
  )


def setting(own: config.Experiment) -> tuple[Setting, dict]:
  config.check(own)
  policy, devices = load_policy(own), make_devices(own.parallel)
  built = tasks.build(own.task)
  return Setting(own, 0, policy.network, policy.tokenizer, built, devices), policy.params


SHAPES = {
  "plain": {},
  "token advantages": {"shaping": config.Shaping(whiten=True)},
  "gdpo": {"shaping": config.Shaping(gdpo=True)},
  "micro-batches": {"optimizer": config.Optimizer(lr=0.01, min_lr=0.001, micro_batches=2)},
}


@pytest.mark.parametrize("name", quick.often(("plain",), SHAPES))
def test_a_program_is_the_run_of_the_host_loop(name, tmp_path):
  (tmp_path / "own.py").write_text(ODD)
  stage = {"rewards": {f"{tmp_path}/own.py:odd": 1.0}} | SHAPES[name]
  own = experiment(**({"optimizer": config.Optimizer(lr=0.01, min_lr=0.001)} | stage))
  many = dataclasses.replace(own.stages["grpo"], steps_per_program=K)
  where, params = setting(own)
  host, program = (
    make_grpo_runner(where, own.stages["grpo"], None),
    make_program_runner(where, many),
  )
  left, right = host.init(params), program.init(jax.tree.map(np.array, params))
  told_left, told_right = [], []
  for step in range(STEPS):
    left, told = host.advance(left, step)
    told_left += told()
  for step in range(0, STEPS, K):
    right, told = program.advance(right, step)
    told_right += told()
  assert len(told_left) == len(told_right) == STEPS
  for one, other in zip(told_left, told_right, strict=True):
    names = {key for key in other.figures if not key.startswith("time/")}
    assert names == {key for key in one.figures if not key.startswith("time/")}
    for key in names:
      assert one.figures[key] == pytest.approx(other.figures[key], rel=1e-4, abs=1e-5, nan_ok=True)
  assert any(told.figures["reward/mean"] > 0 for told in told_left), "nothing to learn from"
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), left.params, right.params
  )
  # Samples are those of the last step of each program.
  assert [bool(told.samples) for told in told_right] == [False, False, True] * 2
  for one, other in zip(told_left[2].samples, told_right[2].samples, strict=True):
    for name in ("advantages", "logprobs"):
      mine, theirs = (record.pop(name, [[]]) for record in (one, other))
      jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-3), mine, theirs)
    assert one == other


def test_a_run_of_programs_leaves_every_step_and_resumes(tmp_path):
  own, said = experiment(steps_per_program=K), []
  loop.run(own, str(tmp_path / "run"), say=said.append, profile="4:5")
  lines, samples = (
    [json.loads(line) for line in (tmp_path / "run" / name).read_text().splitlines()]
    for name in ("metrics.jsonl", "samples.jsonl")
  )
  assert [line["step"] for line in lines if "reward/mean" in line] == [1, 2, 3, 4, 5, 6]
  assert [line["step"] for line in lines if "eval/accuracy" in line] == [0, 3, 6]
  assert [line["step"] for line in samples] == [3] * 8 + [6] * 8
  assert any("profile of steps up to 6" in line for line in said)
  again: list[str] = []
  loop.run(own, str(tmp_path / "run"), say=again.append)
  assert any("resuming grpo after step 6" in line for line in again)


WRONG = {
  "minibatches": ({"minibatches": 2}, "minibatches"),
  "strict": ({"strict": True}, "strict"),
  "kl": ({"loss": config.LossConfig(kl_coefficient=0.1)}, r"loss\.kl_coefficient"),
  "drop": ({"selection": config.Selection(no_signal="drop")}, r"selection\.no_signal"),
  "steps": ({"steps": 7}, "steps=7 is not divisible by steps_per_program=3"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_program_has_no_place_for_is_refused(name):
  fields, line = WRONG[name]
  with pytest.raises(config.ConfigError, match=line):
    config.check(experiment(steps_per_program=K, **fields))


def test_what_happens_between_programs_must_fit_them():
  own = experiment(steps_per_program=K)
  own.evaluation.every = 4
  with pytest.raises(config.ConfigError, match=r"evaluation\.every=4 is not divisible"):
    config.check(own)
  own.evaluation.every, own.parallel.mode = 0, "pmap"
  with pytest.raises(config.ConfigError, match=r"needs parallel\.mode='single', not 'pmap'"):
    config.check(own)


def test_a_reward_that_scores_nothing_stops_the_run(tmp_path):
  path = tmp_path / "own.py"
  path.write_text(
    "import jax.numpy as jnp\nfrom grpo_jax.rewards import ArrayReward\n"
    "nothing = ArrayReward(lambda rollout, _: jnp.full(rollout.finished.shape, jnp.nan))\n"
  )
  own = experiment(steps_per_program=K, rewards={f"{path}:nothing": 1.0})
  with pytest.raises(RuntimeError, match="could score none of 64 answers"):
    loop.run(own, str(tmp_path / "run"), say=lambda _: None)
