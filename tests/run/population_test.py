"""Populations: each member is the run that it would be alone, to rounding, and fails alone."""

import dataclasses
import itertools
import json
import math
import os

import jax
import numpy as np
import pytest

from grpo_jax import config
from grpo_jax.config.population import ARRAYS
from grpo_jax.config.values import value_at, with_values
from grpo_jax.parallel import Meeting
from grpo_jax.parallel.joined import Joined
from grpo_jax.run import loop
from grpo_jax.run.members import make_members, set_population
from grpo_jax.run.population import run_population
from tests.parallel.compiled import note_programs
from tests.run import stages_test as small
from tests.weights.helpers import DATA


@pytest.fixture(autouse=True)
def compiled_once(monkeypatch):
  """A first step's arrays are what later ones are, to jit: typed, and committed to a device."""
  made = note_programs(monkeypatch)
  yield
  assert [program.__name__ for program in made if program._cache_size() > 1] == []


_LORA = config.LoRA(rank=2)
_LOSS = config.LossConfig(kl_coefficient=0.1, entropy_coefficient=0.01)


def _grpo(**fields):
  """With a floor that learning rates of members stay above."""
  stage = small._grpo(**({"steps": 3, "minibatches": 2, "loss": _LOSS} | fields))
  stage.optimizer = config.Optimizer(lr=1e-2, min_lr=1e-3)
  return stage


def _stages(**fields):
  return {"sft": small._sft(steps=2), "grpo": _grpo(**fields)}


def _population(stages, size=2, every=2, devices=1, together=0, **vary):
  own = small.experiment(stages, every=every)
  values = {path.replace("__", "."): given for path, given in vary.items()}
  own.population = config.Population(size=size, vary=values, devices=devices, together=together)
  return own


def _run(experiment, workdir, **kwargs):
  said = []
  results = run_population(experiment, str(workdir), say=said.append, **kwargs)
  return results, "\n".join(said)


def _figures(workdir):
  """All that does not depend on the clock or the machine."""
  return [
    {
      name: math.nan if n is None else n
      for name, n in line.items()
      if name.split("/")[0] not in ("time", "memory")
    }
    for line in small.lines(workdir)
  ]


def _assert_alone(experiment, workdir, tmp_path, members=None):
  """Each member beside the run of its own config."""
  for index, own in enumerate(make_members(experiment)):
    if members is not None and index not in members:
      continue
    alone = tmp_path / f"alone-{index}"
    loop.run(own, str(alone), say=lambda line: None)
    folder = workdir / f"member-{index:03d}"
    for left, right in zip(_figures(folder), _figures(alone), strict=True):
      assert left.pop("stage") == right.pop("stage")
      assert left == pytest.approx(right, rel=2e-3, abs=2e-4, nan_ok=True), right["step"]
    np.testing.assert_allclose(small.params(folder), small.params(alone), atol=1e-4)


@pytest.mark.parametrize(
  ("devices", "together"),
  [pytest.param(1, 1, marks=pytest.mark.slow), (1, 4), pytest.param(2, 1, marks=pytest.mark.slow)],
)
def test_each_member_is_the_run_that_it_would_be_alone(devices, together, tmp_path):
  """Two stages, a KL, minibatches, rewards on the host; one after another, and side by side."""
  own = _population(
    _stages(),
    size=4,
    devices=devices,
    together=together,
    stages__grpo__optimizer__lr=(1e-2, 5e-3, 2e-2, 1e-2),
    stages__grpo__optimizer__min_lr=(1e-3, 1e-3, 1e-2, 1e-2),
    stages__grpo__rewards__random=(1.0, 2.0, 1.0, 1.0),
  )
  results, said = _run(own, tmp_path / "all")
  assert not any(result.reason for result in results)
  _assert_alone(own, tmp_path / "all", tmp_path, members=[1, 2])
  table = said.split("member ")[-1].splitlines()
  assert [line.split()[:3] for line in table[1:4]] == [
    ["0", "0", "0.01"],
    ["1", "1", "0.005"],
    ["2", "2", "0.02"],
  ]
  assert "over 4 members" in said


@pytest.mark.slow
@pytest.mark.parametrize("together", [1, 2])
def test_members_in_a_mesh(together, tmp_path):
  """Each is split over all devices, by the same rules as a run alone."""
  own = _population({"grpo": _grpo(steps=2)}, every=0, together=together, devices=0, seed=(3, 4))
  own.stages["grpo"].rollout.prompts = 8
  own.parallel = config.Parallel(mode="mesh", fsdp=2, tensor=2)
  results, _ = _run(own, tmp_path / "all")
  assert not any(result.reason for result in results)
  _assert_alone(own, tmp_path / "all", tmp_path, members=[1])


# Values of the second member; the first has those that the config has. Some need others beside.
_TOGETHER = {
  "optimizer.lr": 2e-2,
  "optimizer.min_lr": 1e-2,
  "optimizer.beta1": 0.5,
  "optimizer.beta2": 0.5,
  "optimizer.eps": 1e-2,
  "optimizer.weight_decay": 1.0,
  "optimizer.max_grad_norm": 0.01,
  "rollout.temperature": 0.8,
  "rollout.top_p": 0.9,
  "rollout.min_p": 0.9,
  "loss.clip_low": 1e-3,
  "loss.clip_high": 1e-3,
  "loss.dual_clip": 1.001,
  "loss.kl_coefficient": 1.0,
  "loss.entropy_coefficient": 0.5,
  "grouping.eps": 1.0,
}
_APART = [
  (
    {"loss.objective": "cispo", "loss.ratio_cap": 5.0},
    {"loss.ratio_floor": 1.0, "loss.ratio_cap": 1.001},
  ),
  ({"loss.objective": "sapo"}, {"loss.tau_positive": 9.0, "loss.tau_negative": 9.0}),
  ({"loss.sampler_correction": "truncate"}, {"loss.sampler_cap": 0.5}),
  ({"loss.sampler_correction": "icepop"}, {"loss.sampler_floor": 1.0}),
  ({"loss.sampler_correction": "sequence_mask"}, {"loss.sampler_sequence_cap": 0.5}),
  ({"lora.rank": 2}, {"lora.alpha": 8.0}),
]


def test_the_tables_have_every_array():
  assert {*_TOGETHER, *(name for _, values in _APART for name in values)} == set(ARRAYS)


def _second_member_is_alone(beside, values, tmp_path):
  """With every value another than the first one's, which is the config's own."""
  stage = with_values(_grpo(steps=2, loss=dataclasses.replace(_LOSS, dual_clip=3.0)), beside)
  if beside.get("loss.objective"):
    stage = with_values(stage, {"loss.dual_clip": 0.0})
  vary = {f"stages.grpo.{path}": (value_at(stage, path), value) for path, value in values.items()}
  own = _population({"grpo": stage}, every=0, seed=(5, 5), **vary)
  results, _ = _run(own, tmp_path / "all")
  assert not any(result.reason for result in results)
  _assert_alone(own, tmp_path / "all", tmp_path, members=[1])
  first, second = (small.params(tmp_path / "all" / f"member-{index:03d}") for index in (0, 1))
  assert np.abs(first - second).max() > 1e-6


@pytest.mark.slow
def test_arrays_are_each_members_own(tmp_path):
  """A field that was a constant of the program would be the first member's for all."""
  _second_member_is_alone({}, _TOGETHER, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", _TOGETHER)
def test_each_array_is_each_members_own(name, tmp_path):
  values = {name: _TOGETHER[name]}
  if name == "optimizer.min_lr":
    values["optimizer.lr"] = 2e-2
  _second_member_is_alone({}, values, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("beside", "values"), _APART, ids=str)
def test_arrays_of_other_objectives_are_each_members_own(beside, values, tmp_path):
  _second_member_is_alone(beside, values, tmp_path)


@pytest.mark.slow
def test_many_steps_in_one_program(tmp_path):
  """The loop on the device, with a reward in JAX whose weight is an array too."""
  alone = {"loss": config.LossConfig(), "minibatches": 1, "steps_per_program": 2}
  grpo = _grpo(steps=4, rewards={"solution": 1.0}, **alone)
  own = _population(
    {"grpo": grpo},
    every=0,
    stages__grpo__rollout__temperature=(1.0, 0.8),
    stages__grpo__rewards__solution=(1.0, 2.0),
  )
  own.checkpoint.every = 2
  results, _ = _run(own, tmp_path / "all")
  assert not any(result.reason for result in results)
  _assert_alone(own, tmp_path / "all", tmp_path)


@pytest.mark.slow
def test_a_learned_reward_is_each_members_own(tmp_path):
  """Trained by the member itself; its program has nothing of what members vary."""
  own = small._world(small._judged(), ("stage:judge",))
  own.stages["rl"].optimizer = config.Optimizer(lr=1e-2, min_lr=1e-3)
  own.population = config.Population(
    size=2, devices=1, vary={"stages.rl.optimizer.lr": (1e-2, 5e-3)}
  )
  results, _ = _run(own, tmp_path / "all")
  assert [result.reason for result in results] == ["", ""]
  _assert_alone(own, tmp_path / "all", tmp_path, members=[1])


@pytest.mark.slow
def test_adapters_over_one_base(tmp_path, monkeypatch):
  """The weights are one array for all; a reference is the base."""
  once, bases = Meeting.once, []

  def noted(meeting, tree, place):
    found = once(meeting, tree, place)
    bases.append(list(map(id, jax.tree.leaves(found["base"]))))
    return found

  monkeypatch.setattr(Meeting, "once", noted)
  stages = {"grpo": _grpo(steps=2, lora=_LORA)}
  own = _population(stages, every=0, together=2, stages__grpo__optimizer__lr=(1e-2, 5e-3))
  own.model = config.Model(weights=os.path.join(DATA, "llama"))
  own.task = config.Addition(low=0, high=9)
  results, _ = _run(own, tmp_path / "all")
  assert not any(result.reason for result in results)
  _assert_alone(own, tmp_path / "all", tmp_path)
  assert len(bases) == 2
  assert bases[0] == bases[1]


@pytest.mark.slow
def test_one_that_diverges_ends_alone(tmp_path):
  own = _population(_stages(steps=6), size=3, stages__grpo__optimizer__lr=(1e-2, 1e30, 5e-3))
  results, said = _run(own, tmp_path / "all")
  assert [bool(result.reason) for result in results] == [False, True, False]
  assert "member 1 has failed: grpo step" in said
  assert "not finite 3 times in a row" in results[1].reason
  _assert_alone(own, tmp_path / "all", tmp_path, members=[0, 2])
  with open(tmp_path / "all" / "population.json", encoding="utf-8") as file:
    assert [bool(line["reason"]) for line in json.load(file)] == [False, True, False]


@pytest.mark.slow
def test_when_all_fail_the_run_has_failed(tmp_path):
  own = _population(_stages(steps=6), stages__grpo__optimizer__lr=(1e30, 1e31))
  with pytest.raises(RuntimeError, match="all 2 members have failed, the first: grpo step"):
    _run(own, tmp_path)


@pytest.mark.fault(2)
@pytest.mark.slow
def test_a_population_that_was_killed_goes_on(tmp_path, monkeypatch):
  """Every member from its own newest checkpoint, and to the same end, to the bit."""

  def make():
    own = _population(_stages(), stages__grpo__optimizer__lr=(1e-2, 5e-3))
    own.checkpoint.every = 1
    return own

  _run(make(), tmp_path / "whole")

  calls = itertools.count()
  call = Joined.call

  def interrupted(joined, group, live):
    if next(calls) == 24:  # in the second stage
      raise KeyboardInterrupt
    return call(joined, group, live)

  with monkeypatch.context() as patch:
    patch.setattr(Joined, "call", interrupted)
    with pytest.raises(KeyboardInterrupt):
      _run(make(), tmp_path / "parts")
  places = small.places(tmp_path / "parts" / "member-001")
  assert ("grpo", 1) in places
  assert ("grpo", 3) not in places
  _run(make(), tmp_path / "parts")
  for index in range(2):
    left, right = (tmp_path / part / f"member-{index:03d}" for part in ("whole", "parts"))
    assert _figures(left) == _figures(right)
    np.testing.assert_array_equal(small.params(left), small.params(right))


@pytest.mark.slow
def test_members_that_go_on_are_on_the_device_that_they_were_on(tmp_path, monkeypatch):
  """A checkpoint is read onto the first device; adapters are of the base that their device has."""
  placed, committed = set(), Joined._committed

  def noted(joined, leaf):
    found = committed(joined, leaf)
    placed.add((joined._device, *found.devices()))
    return found

  monkeypatch.setattr(Joined, "_committed", noted)
  for folder, parts in (("whole", [()]), ("parts", [("sft",), ()])):
    for stages in parts:
      own = _population({"sft": small._sft(steps=2), "grpo": _grpo(steps=2, lora=_LORA)}, devices=2)
      _run(own, tmp_path / folder, stages=stages)
  assert placed == {(device, device) for device in jax.local_devices()[:2]}
  for index in range(2):
    left, right = (tmp_path / part / f"member-{index:03d}" for part in ("whole", "parts"))
    assert _figures(left) == _figures(right)


def test_members_without_a_seed_of_their_own_have_the_next_ones():
  own = _population(_stages(), size=3)
  own.seed = 7
  assert [member.seed for member in make_members(own)] == [7, 8, 9]
  own.population.vary = {"seed": (1.0, 1.0, 4.0)}
  assert [member.seed for member in make_members(own)] == [1, 1, 4]
  assert all(member.population.size == 1 for member in make_members(own))


@pytest.mark.parametrize(
  ("fields", "said"),
  [
    ({"vary": {"stages.grpo.rollout.group_size": (2.0, 4.0)}}, "is the same for all members"),
    ({"vary": {"stages.grpo.rollout.group": (2.0, 4.0)}}, "no field 'rollout.group'"),
    ({"vary": {"stages.gpro.optimizer.lr": (1e-3, 1e-2)}}, "did you mean 'stages.grpo.'"),
    ({"vary": {"stages.grpo.optimizer.lr": (1e-3,)}}, "has 1 values, and size=2"),
    ({"vary": {"stages.grpo.optimizer.lr": (1e-3, -1.0)}}, "member 1 of 2: .*must be > 0"),
    ({"vary": {"stages.grpo.loss.kl_coefficient": (0.0, 0.1)}}, "0 is off"),
    ({"vary": {"stages.grpo.optimizer.lr": (1e-3, float("nan"))}}, "finite numbers"),
    ({"vary": {"stages.grpo.loss.entropy_coefficient": (0.0, 0.1)}}, "0 is off"),
    ({"vary": {"stages.grpo.rewards.random": (0.0, 0.1)}}, "0 is off"),
    ({"vary": {"seed": (1.0, 1.5)}}, "whole numbers"),
    ({"size": 1, "together": 1}, "size=1 is a run by itself"),
    ({"size": 3, "together": 2}, "together=2 does not divide size=3"),
    ({"size": 3, "devices": 2}, "devices=2 does not divide size=3"),
  ],
  ids=str,
)
def test_what_cannot_be_is_one_line(fields, said):
  own = small.experiment(_stages())
  own.population = config.Population(**({"size": 2} | fields))
  with pytest.raises(config.ConfigError, match=said):
    make_members(own)


def test_other_devices_and_a_plain_run_are_refused(tmp_path):
  with pytest.raises(config.ConfigError, match=r"devices=8: there are 4"):
    _run(_population(_stages(), size=8, devices=8), tmp_path / "eight")
  own = _population(_stages())
  own.parallel = config.Parallel(mode="pmap")
  with pytest.raises(config.ConfigError, match=r"is of parallel\.mode='single' or"):
    _run(own, tmp_path)
  with pytest.raises(config.ConfigError, match="members are run by"):
    loop.run(_population(_stages()), str(tmp_path), say=lambda line: None)


def test_flags_set_the_population():
  own = small.experiment(_stages())
  set_population(own, None, "stages.grpo.optimizer.lr=1e-3,2e-3; seed=3,3")
  assert own.population == config.Population(
    size=2, vary={"stages.grpo.optimizer.lr": (1e-3, 2e-3), "seed": (3.0, 3.0)}
  )
  set_population(own, 4, "")
  assert own.population.size == 4
  with pytest.raises(config.ConfigError, match="seed is there twice"):
    set_population(own, None, "seed=1,2; seed=3,4")
  with pytest.raises(config.ConfigError, match="expected PATH=NUMBER"):
    set_population(own, None, "seed=a,b")


def test_values_by_their_paths():
  stage = config.GRPO(rewards={"number": 1.0, "my.file.py:length": 0.5})
  assert value_at(stage, "rewards.my.file.py:length") == 0.5
  other = with_values(stage, {"rewards.my.file.py:length": 2.0, "loss.clip_low": 0.1})
  assert (other.rewards["my.file.py:length"], other.loss.clip_low) == (2.0, 0.1)
  assert (stage.rewards["my.file.py:length"], stage.loss.clip_low) == (0.5, 0.2)
