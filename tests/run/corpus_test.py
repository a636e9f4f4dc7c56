"""The rows of a step: a function of seed, step and file; each document as often as another."""

import json

import numpy as np
import pytest

from grpo_jax import config, tasks
from grpo_jax.config import ChatSFT, ConfigError, Preferences, Pretrain, RewardModel, Texts
from grpo_jax.parallel import Devices
from grpo_jax.run.corpus import check_texts, make_corpus
from grpo_jax.run.pairs import pairs_left_out
from grpo_jax.run.stage import Setting
from grpo_jax.weights.tokenizer import CharacterTokenizer

_TOKENIZER = CharacterTokenizer()
_TRAIN = [f"{'x' * (i % 7)}{i:03}" for i in range(60)]
_HELD = ["held 1", "held 2", "held 3"]


def _documents(seed, step, count):
  """Texts of 1 to 12 characters, each told apart from those of other lengths alone."""
  sizes = np.random.default_rng([seed, abs(step), int(step < 0)]).integers(1, 13, count)
  return [chr(ord("a") + size) * size for size in sizes]


def setting(stage, seed=0, documents=_documents) -> Setting:
  experiment = config.Experiment(
    seed=seed,
    model=config.Model(tokenizer="characters", architecture=config.Architecture()),
    task=config.Addition(),
    stages={"first": config.SFT(steps=5), "texts": stage},
  )
  config.check(experiment)
  task = tasks.Task(sample=lambda *_: [], held_out=lambda _: [], documents=documents)
  return Setting(experiment, 1, None, _TOKENIZER, task, Devices(1, None))


@pytest.fixture
def files(tmp_path):
  paths = tmp_path / "train.jsonl", tmp_path / "held.jsonl"
  for path, rows in zip(paths, (_TRAIN, _HELD), strict=True):
    path.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
  return Texts(train=str(paths[0]), held_out=str(paths[1]))


def texts(packed) -> list[str]:
  """The documents of the rows, as texts."""
  found = []
  for tokens, segments in zip(packed.tokens, packed.segments, strict=True):
    marks = range(1, segments.max() + 1)
    found += [_TOKENIZER.decode(tokens[segments == mark].tolist()) for mark in marks]
  return found


def same(left, right) -> bool:
  return all(
    np.array_equal(a, b) for a, b in zip(vars(left).values(), vars(right).values(), strict=True)
  )


@pytest.mark.parametrize("own", [True, False])
def test_a_step_is_a_function_of_seed_and_step(files, own):
  stage = Pretrain(batch_size=4, length=16, texts=files if own else None, held_out=3)
  batch, again = (make_corpus(setting(stage), stage).batch for _ in range(2))
  first = [batch(step) for step in range(5)]
  assert all(same(again(step), first[step]) for step in (3, 1, 4))
  assert not same(first[0], first[1])
  assert not same(make_corpus(setting(stage, seed=1), stage).batch(0), first[0])
  assert all(packed.tokens.shape == (4, 16) for packed in first)


def test_an_epoch_reads_every_text_once(files):
  stage = Pretrain(batch_size=1, length=16, texts=files, held_out=3)
  batch = make_corpus(setting(stage), stage).batch
  seen: list[str] = []
  for step in range(60):
    if len(seen) >= len(_TRAIN):
      break
    seen += texts(batch(step))
  assert sorted(seen) == sorted(_TRAIN)
  order = texts(batch(step)) + texts(batch(step + 1))
  assert order != seen[: len(order)]


def test_rows_have_little_padding(files):
  stage = Pretrain(batch_size=8, length=64, texts=files, held_out=3)
  packed = make_corpus(setting(stage), stage).batch(0)
  assert (packed.segments == 0).mean() < 0.1


def test_of_the_tasks_documents_long_ones_are_as_often_there_as_short_ones():
  """What does not fit in a step is left out by lot, and not by its length."""
  stage = Pretrain(batch_size=4, length=16, held_out=50)
  batch = make_corpus(setting(stage), stage).batch
  seen = [len(text) for step in range(3000) for text in texts(batch(step))]
  counts = np.bincount(seen, minlength=13)[1:]
  expected = len(seen) / 12
  assert ((counts - expected) ** 2 / expected).sum() < 31.3  # chi-square, 11 degrees: p = 0.001


def test_no_step_gets_what_was_packed_last():
  """What is packed last did not fit before: it is long."""
  stage = Pretrain(batch_size=64, length=16, held_out=50)
  batch = make_corpus(setting(stage), stage).batch
  first, last = (
    [len(text) for window in range(40) for text in texts(batch(8 * window + place))]
    for place in (0, 7)
  )
  error = (np.var(first) / len(first) + np.var(last) / len(last)) ** 0.5
  assert abs(np.mean(first) - np.mean(last)) < 3 * error


def test_held_out_texts_are_the_first_of_their_file_and_of_the_task(files):
  stage = Pretrain(texts=files, held_out=2)
  held = make_corpus(setting(stage), stage).held_out
  assert [_TOKENIZER.decode(document.tokens) for document in held] == _HELD[:2]
  stage = Pretrain(held_out=2)
  held = [make_corpus(setting(stage, seed=seed), stage).held_out for seed in (0, 1)]
  assert [_TOKENIZER.decode(d.tokens) for d in held[0]] == _documents(0, -1, 2)
  assert [d.tokens.tolist() for d in held[0]] == [d.tokens.tolist() for d in held[1]]


def test_too_few_held_out_rows_and_no_documents_are_refused(files):
  stage = Pretrain(texts=files, held_out=4)
  line = r"config\.stages\.texts\.held_out=4, but .*held\.jsonl has 3 rows"
  with pytest.raises(ConfigError, match=line):
    make_corpus(setting(stage), stage)
  with pytest.raises(ConfigError, match=line):
    check_texts(setting(stage).experiment)
  stage = Pretrain()
  with pytest.raises(
    ConfigError, match=r"config\.stages\.texts\.texts is None, and the task has no"
  ):
    make_corpus(setting(stage, documents=None), stage)


@pytest.mark.fault(20)
def test_files_are_checked_before_the_run(files):
  """Of every stage, and as chats where chats are asked for."""
  check_texts(setting(Pretrain(texts=files, held_out=3)).experiment)
  with pytest.raises(ConfigError, match=r"train\.jsonl:1: expected .* a list of"):
    check_texts(setting(ChatSFT(texts=files)).experiment)
  with pytest.raises(ConfigError, match="No such file"):
    check_texts(setting(Pretrain(texts=Texts(train="none", held_out="none"))).experiment)


def test_rows_that_are_left_out_are_told_of_every_stage(tmp_path):
  train, held = tmp_path / "train.jsonl", tmp_path / "held.jsonl"
  pair = {"prompt": "q", "chosen": "a", "rejected": "b"}
  train.write_text(json.dumps({"text": "one", **pair}) + "\n{broken\n")
  held.write_text(json.dumps({"text": "two", **pair, "prompt": "r"}) + "\n")
  files = {"train": str(train), "held_out": str(held), "on_bad_row": "skip"}
  (line,) = check_texts(setting(Pretrain(texts=Texts(**files), held_out=1)).experiment)
  assert line.startswith(f"texts: {train}: 1 rows were left out, the first: ")
  experiment = setting(Pretrain()).experiment
  experiment.stages = {"pairs": RewardModel(pairs=Preferences(**files))}
  (line,) = pairs_left_out(experiment)
  assert line.startswith(f"pairs: {train}: 1 rows were left out, the first: ")
