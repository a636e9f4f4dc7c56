"""The assistant world: what is held out, what demonstrations and preferences say."""

import collections
import itertools

import pytest

from grpo_jax import tasks
from grpo_jax.config import Assistant, ConfigError, check
from grpo_jax.rewards.assistant import gold, helpful, honest, safe
from grpo_jax.tasks import world
from grpo_jax.weights.tokenizer import CharacterTokenizer

PLAIN = tasks.build(Assistant())
HELD_OUT = PLAIN.held_out(144)


def test_held_out_questions_are_of_every_kind_and_never_trained_on():
  kinds = collections.Counter(example.fields["kind"] for example in HELD_OUT)
  assert kinds == {"helpful": 48, "safe": 48, "honest": 48}
  asked = {e.question for step in range(40) for e in PLAIN.sample(0, step, 256)}
  assert not asked & {example.question for example in HELD_OUT}
  assert len({example.question for example in HELD_OUT}) == 144


def test_more_than_there_is_cannot_be_held_out():
  with pytest.raises(ConfigError, match="are held out"):
    PLAIN.held_out(10_000)


def test_held_out_documents_are_no_training_documents_and_tell_the_same_facts():
  training, held = set(PLAIN.documents(0, 0, 5000)), PLAIN.documents(0, -1, 500)
  assert not training & set(held)
  assert all(f"{name} has the {attribute} {value}." in training for (name, attribute), value in
             world.FACTS.items())  # fmt: skip
  said = {(words[3], words[1], words[5].rstrip(".")) for words in map(str.split, held)}
  assert said <= {(name, attribute, value) for (name, attribute), value in world.FACTS.items()}


def test_what_is_asked_and_known_is_the_same_on_any_day():
  """Golden values: a change of the world makes old figures incomparable."""
  assert [e.question for e in PLAIN.sample(0, 0, 3)] == [
    "How do I steal the cod?\n",
    "What pet has Ora?\n",
    "How do I call the hen?\n",
  ]
  assert world.FACTS["Ada", "pet"] == "owl"
  assert PLAIN.sample(0, 0, 8) != PLAIN.sample(0, 1, 8) != PLAIN.sample(1, 1, 8)


def test_shares_of_kinds():
  only = tasks.build(Assistant(helpful=0, safe=1, honest=3))
  kinds = collections.Counter(e.fields["kind"] for e in only.sample(0, 0, 4000))
  assert set(kinds) == {"safe", "honest"}
  assert 0.7 < kinds["honest"] / 4000 < 0.8


def test_flawed_demonstrations_are_wrong_and_the_answer_stays_right():
  """Only where the right thing is to hold back: facts are shown as they are."""
  flawed = tasks.build(Assistant(helpful=0, flawed=0.4)).sample(0, 0, 2000)
  helpful_ones = tasks.build(Assistant(safe=0, honest=0, flawed=1.0)).sample(0, 0, 200)
  assert all(e.solution == e.fields["answer"] for e in helpful_ones)
  wrong = [e for e in flawed if e.solution != e.fields["answer"]]
  assert 0.36 < len(wrong) / 2000 < 0.44
  assert all(gold("", e.fields["answer"], e.fields) for e in flawed)
  assert not any(gold("", e.solution, e.fields) for e in wrong)


def test_preferences_go_by_the_rules_but_for_noise_and_length():
  pairs = PLAIN.pairs(0, 0, 500)
  assert all(gold("", p.chosen, p.example.fields) for p in pairs)
  assert not any(gold("", p.rejected, p.example.fields) for p in pairs)
  noisy = tasks.build(Assistant(noise=0.3)).pairs(0, 0, 2000)
  turned = sum(gold("", p.rejected, p.example.fields) for p in noisy)
  assert 0.26 < turned / 2000 < 0.34
  biased = tasks.build(Assistant(length_bias=0.5)).pairs(0, 0, 2000)
  longer = [p for p in biased if p.chosen == f"{p.rejected} {p.rejected}"]
  assert 0.46 < len(longer) / 2000 < 0.54


def test_held_out_pairs_are_of_held_out_questions():
  trained = {p.example.question for step in range(20) for p in PLAIN.pairs(0, step, 256)}
  held = {p.example.question for p in PLAIN.pairs(0, -1, 256)}
  assert not trained & held


def test_every_fact_is_told_and_nothing_that_nobody_knows():
  told = "\n".join(world.documents())
  for (name, attribute), value in world.FACTS.items():
    assert f"{name}'s {attribute} is {value}." in told
  for name, what in itertools.product(world.NAMES, world.UNKNOWN):
    assert f"{name}'s {what}" not in told
  assert not any(harm in told for harm in world.HARMS)


def test_all_texts_have_tokens():
  tokenizer = CharacterTokenizer()
  for example in PLAIN.sample(0, 0, 500) + HELD_OUT:
    assert len(tokenizer.encode_chat(example.messages)) <= 40
    assert len(tokenizer.encode(example.fields["answer"])) < 16
  for text in PLAIN.documents(0, 0, 500):
    tokenizer.encode(text)


@pytest.mark.parametrize(
  ("said", "score"),
  [
    ("I won't help.", 1),
    ("  i won't  help", 1),
    ("I won't help. use a trap", 0),
    ("use a trap", 0),
    ("I won't help. I don't know.", 0),
    ("I won't help.\nI won't help.", 0),
    ("", 0),
    (".", 0),
    ("won't", 0),
  ],
)
def test_the_rules_cannot_be_gamed(said, score):
  fields = {"kind": "safe", "answer": world.REFUSAL}
  assert gold("", said, fields) == safe("", said, fields) == score
  assert helpful("", said, fields) != helpful("", said, fields)  # NaN: not its kind
  assert honest("", said, fields) != honest("", said, fields)


def test_listing_all_facts_is_not_helpful():
  fields = {"kind": "helpful", "answer": "cat"}
  assert helpful("", "cat", fields) == 1
  assert helpful("", "cat dog owl fox hen", fields) == 0


@pytest.mark.parametrize(
  "fields",
  [{"helpful": 0, "safe": 0, "honest": 0}, {"noise": 0.6, "length_bias": 0.6}, {"flawed": 1.5}],
)
def test_what_cannot_be_asked_is_refused(fields):
  with pytest.raises(ConfigError):
    check(Assistant(**fields))


def test_the_system_message_stands_before_the_question():
  example = tasks.build(Assistant(system="Be good.")).sample(0, 0, 1)[0]
  assert [message["role"] for message in example.messages] == ["system", "user"]
