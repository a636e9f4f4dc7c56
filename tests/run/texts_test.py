"""A stage of texts or chats: what it learns, how it is judged, and that each field is read."""

import dataclasses
import json
import math

import jax
import numpy as np
import pytest

from grpo_jax import config, tasks
from grpo_jax.config import ChatSFT, Pretrain, Texts
from grpo_jax.parallel import make_devices
from grpo_jax.run.policy import load_policy
from grpo_jax.run.stage import Setting
from grpo_jax.run.texts import make_text_runner
from grpo_jax.types import TrainState
from tests import references, toys

_SHAPE = {"hidden_size": 8, "layers": 1, "heads": 1, "kv_heads": 1, "head_size": 8, "ffn_size": 8}
_HELD = ["7+7=14", "0 + 1 = 1", "12345678901234567890", "x"]


@pytest.fixture
def files(tmp_path):
  return _writer(tmp_path)


def _writer(folder):
  """Files of texts, or of chats with the same words."""

  def write(chats=False, name="a", held=_HELD):
    train = [f"{a}+{b}={a + b}" + name * (a % 3) for a in range(8) for b in range(8)]
    paths = [folder / f"{name}{chats}_{part}.jsonl" for part in ("train", "held")]
    for path, texts in zip(paths, (train, held), strict=True):
      path.write_text("".join(json.dumps({"column": _row(t, chats)}) + "\n" for t in texts))
    return Texts(train=str(paths[0]), held_out=str(paths[1]), column="column")

  return write


def _row(text, chats):
  asked, equals, answer = text.partition("=")
  if not chats:
    return text
  turns = (("user", asked + equals), ("assistant", answer or "0"))
  return [{"role": role, "content": content} for role, content in turns]


def stage(kind=Pretrain, **fields):
  fields = {"batch_size": 4, "length": 24, "steps": 3, "held_out": 4} | fields
  optimizer = {"lr": 1e-2, "min_lr": 1e-2} | fields.pop("optimizer", {})
  return kind(optimizer=config.Optimizer(**optimizer), **fields)


def setting(own, seed=0, mode="single", before=None) -> Setting:
  """before: texts of an earlier stage of one step."""
  stages = {} if before is None else {"before": stage(texts=before, steps=1)}
  experiment = config.Experiment(
    seed=seed,
    model=config.Model(
      tokenizer="characters", architecture=config.Architecture(context_length=128, **_SHAPE)
    ),
    task=config.Addition(),
    parallel=config.Parallel(mode=mode),
    stages={**stages, "texts": own},
  )
  config.check(experiment)
  policy, devices = load_policy(experiment), make_devices(experiment.parallel)
  task = tasks.build(experiment.task)
  return Setting(experiment, len(stages), policy.network, policy.tokenizer, task, devices)


def run(own, first=0, state=None, **where):
  """The state after the stage's steps from `first` on, figures of the last, and held-out ones."""
  given = setting(own, **where)
  runner, devices = make_text_runner(given, own), given.devices
  state = runner.init(load_policy(given.experiment).params) if state is None else state
  state = devices.replicate(state)
  figures = {}
  for step in range(first, runner.steps):
    state, told = runner.advance(state, step)
    (outcome,) = told()
    figures = outcome.figures
  return devices.first(state), figures, runner.judge(state)


def params(state: TrainState) -> np.ndarray:
  return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(state.params)])


@pytest.mark.parametrize("kind", [Pretrain, ChatSFT])
def test_held_out_perplexity_falls(files, kind):
  texts = files(chats=kind is ChatSFT, held=["0+7=7a", "1+1=2", "2+2=4a", "5+1=6"])
  own = stage(kind, steps=30, texts=texts, optimizer={"lr": 3e-2})
  given = setting(own)
  runner = make_text_runner(given, own)
  before = runner.judge(runner.init(load_policy(given.experiment).params))
  _, figures, after = run(own)
  assert before["eval/loss"] == pytest.approx(math.log(given.tokenizer.vocab_size), abs=0.3)
  assert after["eval/loss"] < before["eval/loss"] - 1
  assert after["eval/perplexity"] == pytest.approx(math.exp(after["eval/loss"]))
  assert figures["train/nonfinite"] == figures["train/skipped"] == 0
  assert 0 <= figures["texts/padding"] < 0.2
  assert figures["time/tokens_per_s"] > 0


@pytest.mark.parametrize("micro_batches", [1, 4])
def test_the_held_out_loss_is_that_of_the_texts_one_by_one(files, micro_batches):
  """By the float64 decoder; rows in several parts, the last of them partly empty."""
  own = stage(texts=files(), length=12, optimizer={"micro_batches": micro_batches})
  given = setting(own)
  network, tokenizer = given.network, given.tokenizer
  weights = toys.random_params(network)
  found = make_text_runner(given, own).judge(TrainState(0, weights, None))["eval/loss"]
  total, count = 0.0, 0
  ids = [[*tokenizer.encode(text), tokenizer.stop_ids[0]] for text in _HELD]
  # The one of 21 tokens is cut after 12; the second part sees the last of the first.
  for row in (*(row for row in ids if len(row) < 12), ids[2][:12], ids[2][11:]):
    logits = toys.reference_logits(network.architecture, weights, row[:-1])
    for before, token in zip(logits, row[1:], strict=True):
      total -= references.log_softmax(before)[token]
      count += 1
  assert found == pytest.approx(total / count, rel=1e-5)


FIELDS = {
  "batch_size": {"batch_size": 8},
  "length": {"length": 32},
  "steps": {"steps": 4},
  "texts": "others",
  "held_out": {"held_out": 2},
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
  return run(stage(texts=_writer(tmp_path_factory.mktemp("plain"))()))


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_is_read(files, plain, name):
  beside = FIELDS[name] if name != "texts" else {"texts": files(name="b")}
  other = stage(**({"texts": files()} | beside))
  (left, _, judged), (right, _, others) = plain, run(other)
  assert (name == "held_out") == np.array_equal(params(left), params(right))
  assert judged["eval/loss"] != others["eval/loss"]


def test_no_field_is_left_out():
  names = {field.name for field in dataclasses.fields(Pretrain)}
  elsewhere = {"task", "optimizer", "stop", "switch", "lora", "max_nonfinite"}
  assert set(FIELDS) == names - elsewhere
  assert {field.name for field in dataclasses.fields(ChatSFT)} == names


def test_of_chats_only_answers_are_learned(files):
  """The same tokens in the same rows, and another loss."""
  (_, text, _), (_, chat, _) = run(stage(texts=files())), run(stage(ChatSFT, texts=files(True)))
  assert text["texts/padding"] == chat["texts/padding"]
  assert text["loss/text"] != chat["loss/text"]


def test_a_resumed_stage_ends_where_the_whole_one_did(files):
  own = stage(steps=4, texts=files())
  whole, figures, judged = run(own)
  # The same schedule: the first half is a run of the same stage, cut off.
  given = setting(own)
  runner = make_text_runner(given, own)
  state = runner.init(load_policy(given.experiment).params)
  for step in range(2):
    state, _ = runner.advance(state, step)
  state = jax.tree.map(np.array, state)
  again, figures_again, judged_again = run(own, first=2, state=state)
  np.testing.assert_array_equal(params(whole), params(again))
  assert judged == judged_again
  clock = ("time/step_s", "time/tokens_per_s")
  assert {k: v for k, v in figures.items() if k not in clock} == {
    k: v for k, v in figures_again.items() if k not in clock
  }


def test_a_later_stage_goes_on_with_the_files_of_an_earlier_one_and_begins_with_its_own(files):
  shared = files()
  own = stage(texts=shared, steps=1)
  alone, second, other = (
    params(run(own, before=before)[0]) for before in (None, shared, files(name="b"))
  )
  assert not np.array_equal(alone, second)
  np.testing.assert_array_equal(alone, other)


@pytest.mark.slow
def test_several_devices_learn_and_judge_the_same(files):
  own = stage(texts=files(), batch_size=8, optimizer={"micro_batches": 2})
  (one, left, judged), (four, right, judged_by_four) = run(own), run(own, mode="pmap")
  np.testing.assert_allclose(params(one), params(four), atol=2e-4)
  assert left["loss/text"] == pytest.approx(right["loss/text"], rel=1e-4)
  assert judged["eval/loss"] == pytest.approx(judged_by_four["eval/loss"], rel=1e-4)
