"""Stages that train low-rank adapters: what moves, what is kept, what goes on."""

import os

import jax
import numpy as np
import pytest

from grpo_jax import config, weights
from grpo_jax.run import stages
from grpo_jax.run.checkpoint import Checkpointer
from grpo_jax.run.export import export
from grpo_jax.run.policy import load_policy
from tests.run import stages_test as small
from tests.weights.helpers import DATA

_LORA = config.LoRA(rank=2, alpha=4.0)
_KL = config.LossConfig(kl_coefficient=0.1)


def _saved(workdir, number=None):
  checkpoints = Checkpointer(str(workdir), config.Checkpoint())
  saved = checkpoints.saved(checkpoints.latest() if number is None else number)
  checkpoints.close()
  return saved


def _figures(workdir, name):
  return [line[name] for line in small.lines(workdir) if name in line]


def test_the_adapters_alone_are_trained_and_saved(tmp_path):
  small.run({"sft": small._sft(lora=_LORA)}, tmp_path)
  saved = _saved(tmp_path)
  assert saved["params"].keys() == {"layers"}
  assert len(saved["params"]["layers"]) == 14
  assert set(saved) == {"step", "params", "opt_state"}
  size = sum(leaf.size for leaf in jax.tree.leaves(saved["params"]))
  moments = sum(leaf.size for leaf in jax.tree.leaves(saved["opt_state"])) - 1  # its counter
  assert moments == 2 * size


@pytest.mark.parametrize(
  "name",
  [
    "rank",
    pytest.param("alpha", marks=pytest.mark.slow),
    pytest.param("targets", marks=pytest.mark.slow),
  ],
)
def test_every_field_is_read(name, tmp_path):
  """The adapters' sizes, or what they have learned."""
  other = {"rank": {"rank": 3}, "alpha": {"alpha": 8.0}, "targets": {"targets": ("up", "value")}}
  runs = []
  for folder, fields in (("a", {}), ("b", other[name])):
    lora = config.LoRA(**({"rank": 2, "alpha": 4.0} | fields))
    small.run({"sft": small._sft(lora=lora)}, tmp_path / folder)
    runs.append(small.params(tmp_path / folder))
  assert runs[0].shape != runs[1].shape or np.abs(runs[0] - runs[1]).max() > 1e-4


def test_the_reference_is_the_base_and_no_second_model(tmp_path, monkeypatch):
  """Against itself the KL is exactly 0, and it grows from there; nothing else is kept for it.

  Nor is a policy merged where no stage follows.
  """
  monkeypatch.setattr(stages, "merged_policy", None)
  small.run({"grpo": small._grpo(lora=_LORA, loss=_KL)}, tmp_path)
  found = _figures(tmp_path, "policy/kl_ref")
  assert found[0] == pytest.approx(0, abs=1e-9)
  assert found[-1] > 1e-6
  assert not os.path.exists(tmp_path / "reference")


@pytest.mark.slow
def test_the_kl_to_the_base_is_that_of_a_reference_of_its_own(tmp_path):
  """A later stage that keeps the reference of the first measures from the first one's base."""
  kept = config.Switch(reference="keep")
  stages = {
    "first": small._grpo(lora=_LORA, loss=_KL),
    "second": small._grpo(steps=1, lora=_LORA, loss=_KL, switch=kept),
  }
  small.run(stages, tmp_path)
  last = [line["policy/kl_ref"] for line in small.lines(tmp_path) if "policy/kl_ref" in line]
  assert last[-1] > last[1] > 0  # the adapters of the first stage are in the second one's weights


@pytest.mark.slow
def test_what_goes_on_is_the_weights_with_the_adapters(tmp_path):
  """The next stage begins where the adapted policy stood, and the export is that policy."""
  own = small.experiment({"sft": small._sft(lora=_LORA), "grpo": small._grpo(steps=1)})
  own.model = config.Model(weights=os.path.join(DATA, "llama"))
  own.task = config.Addition(low=0, high=9)
  for sizes in (own.stages["sft"], own.stages["grpo"].rollout, own.evaluation):
    sizes.max_tokens = 8
  small.loop.run(own, str(tmp_path / "run"), say=lambda line: None, stages=["sft"])
  export(own, str(tmp_path / "run"), str(tmp_path / "merged"))
  small.loop.run(own, str(tmp_path / "run"), say=lambda line: None)
  at = {(n["stage"], n["step"]): n for n in small.lines(tmp_path / "run") if "eval/length" in n}
  assert ("grpo", 1) in at
  policy, merged = load_policy(own), weights.load(str(tmp_path / "merged"))
  adapters = _saved(tmp_path / "run", 3)["params"]["layers"]
  for name in config.LoRA().targets:
    low, up = adapters[f"{name}_a"], adapters[f"{name}_b"]
    L, r = low.shape[0], low.shape[-1]
    product = low.reshape(L, -1, r) @ up.reshape(L, r, -1)
    before = np.asarray(policy.params["layers"][name])
    wanted = before + 2 * product.reshape(before.shape)
    np.testing.assert_allclose(merged.params["layers"][name], wanted, atol=1e-5)
    assert np.abs(product).max() > 1e-5
  np.testing.assert_array_equal(merged.params["embed"], policy.params["embed"])


class _KilledError(Exception):
  pass


@pytest.mark.slow
@pytest.mark.parametrize(
  "parallel", [{"mode": "pmap"}, {"mode": "mesh", "fsdp": 2, "tensor": 2}, {}], ids=str
)
def test_a_resumed_run_is_the_whole_one(parallel, tmp_path):
  """To the bit: the base is read as the stage first had it, not as weights of the model."""

  def run(workdir, killed_at=""):
    stages = {"sft": small._sft(steps=1), "grpo": small._grpo(steps=4, lora=_LORA, loss=_KL)}
    stages["last"] = small._sft(steps=1)
    for stage in stages.values():
      stage.optimizer.micro_batches = 1
    own = small.experiment(stages)
    own.checkpoint.every, own.parallel = 1, config.Parallel(**parallel)
    stages["grpo"].rollout.prompts = 8

    def say(line):
      if killed_at and line.startswith(killed_at):
        raise _KilledError

    small.loop.run(own, str(workdir), say=say)

  run(tmp_path / "whole")
  with pytest.raises(_KilledError):
    run(tmp_path / "parts", "grpo 3/4")
  run(tmp_path / "parts")
  np.testing.assert_array_equal(small.params(tmp_path / "whole"), small.params(tmp_path / "parts"))


@pytest.mark.parametrize(
  ("stage", "said"),
  [
    (small._ppo(lora=_LORA), "PPO has a critic"),
    (config.RewardModel(lora=_LORA), "a reward model trains all weights"),
    (small._sft(lora=config.LoRA(alpha=3.0)), "without adapters: rank=0"),
    (small._sft(lora=config.LoRA(rank=1, targets=("query", "query"))), "each once"),
    (small._sft(lora=config.LoRA(rank=1, targets=("head",))), "must be some of query"),
    (small._grpo(lora=_LORA, loss=_KL, reference_place="host"), "without the adapters"),
  ],
  ids=str,
)
def test_what_cannot_be_is_one_line(stage, said):
  with pytest.raises(config.ConfigError, match=said):
    config.check(small.experiment({"own": stage}))


def test_an_adapter_is_exported_alone(tmp_path):
  own = small.experiment({"sft": small._sft(lora=_LORA)})
  small.loop.run(own, str(tmp_path / "run"), say=lambda line: None)
  export(own, str(tmp_path / "run"), str(tmp_path / "adapter"), adapter=True)
  assert sorted(os.listdir(tmp_path / "adapter")) == [
    "adapter_config.json",
    "adapter_model.safetensors",
  ]
  with pytest.raises(config.ConfigError, match="--workdir is empty"):
    export(own, "", str(tmp_path / "none"))
  with pytest.raises(config.ConfigError, match=r"before any step \(start\)"):
    export(own, str(tmp_path / "run"), str(tmp_path / "none"), "start", adapter=True)
  with pytest.raises(weights.WeightsError, match="is there already"):
    export(own, str(tmp_path / "run"), str(tmp_path / "adapter"), adapter=True)
  plain = small.experiment({"sft": small._sft()})
  small.loop.run(plain, str(tmp_path / "plain"), say=lambda line: None)
  with pytest.raises(config.ConfigError, match=r"stage 'sft'.*has lora\.rank=0"):
    export(plain, str(tmp_path / "plain"), str(tmp_path / "none"), adapter=True)
