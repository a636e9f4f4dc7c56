"""The tokens between two turns, of a real chat template and of none."""

import json

import pytest

from grpo_jax.config import GRPO, ConfigError, Guess, Rollout
from grpo_jax.run.between import check_templates, make_between
from grpo_jax.weights.tokenizer import CharacterTokenizer, HuggingFaceTokenizer
from tests.config.helpers import experiment

_END, _START = 2, 1  # <|im_end|> and <|im_start|> of SmolLM2


def test_characters_have_nothing_between_but_the_observation():
  tokenizer = CharacterTokenizer()
  assert make_between(tokenizer, 6)("higher") == (tokenizer.encode("higher"), False)
  assert make_between(tokenizer, 4)("higher") == (tokenizer.encode("high"), True)
  assert make_between(tokenizer, 4)("") == ([], False)


def test_a_real_template_has_a_users_turn_between_two_of_the_model(smollm2):
  """The ids of each part are those that the whole conversation has."""
  tokenizer = smollm2.tokenizer
  ids, cut = make_between(tokenizer, 20)("higher")
  assert not cut
  said = "\n<|im_start|>user\nhigher<|im_end|>\n<|im_start|>assistant\n"
  assert ids == tokenizer.encode(said)
  assert ids.count(_END) == 1
  assert ids.count(_START) == 2
  turns = [{"role": "user", "content": "Guess a number."}, {"role": "assistant", "content": "12"}]
  whole = tokenizer.encode_chat([*turns, {"role": "user", "content": "higher"}])
  assert whole == tokenizer.encode_chat(turns[:1]) + tokenizer.encode("12") + [_END] + ids


def test_a_long_observation_loses_its_end_and_not_the_template(smollm2):
  tokenizer = smollm2.tokenizer
  alone = len(make_between(tokenizer)("")[0])
  ids, cut = make_between(tokenizer, alone + 5)("one two three four five six seven eight " * 9)
  assert cut
  assert alone < len(ids) <= alone + 5
  assert tokenizer.decode(ids).startswith("\nuser\none two three")
  assert tokenizer.decode(ids).endswith("\nassistant\n")


def test_a_budget_that_the_template_alone_takes_is_one_line(smollm2):
  with pytest.raises(ConfigError, match="observation_tokens=5: the chat template alone takes"):
    make_between(smollm2.tokenizer, 5)


def test_every_stage_is_looked_at_before_the_first(smollm2):
  turns = {"turns": 2, "observation_tokens": 5}
  own = experiment(GRPO(rollout=Rollout(**turns)), task=Guess())
  with pytest.raises(ConfigError, match=r"config\.stages\.grpo\.rollout\.observation_tokens=5"):
    check_templates(own, smollm2.tokenizer)
  check_templates(own, CharacterTokenizer())


def _templated(template: str) -> HuggingFaceTokenizer:
  vocab = {sign: index for index, sign in enumerate("abcdefghijklmnopqrstuvwxyz :.")}
  vocab |= {"<e>": len(vocab), "?": len(vocab) + 1}
  split = {"pattern": {"Regex": r"[\s\S]"}, "behavior": "Isolated", "invert": False}
  added = {"id": vocab["<e>"], "content": "<e>", "special": True, "normalized": False}
  added |= {"single_word": False, "lstrip": False, "rstrip": False}
  source = {
    "version": "1.0",
    "added_tokens": [added],
    "pre_tokenizer": {"type": "Split", **split},
    "decoder": {"type": "Fuse"},
    "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "?"},
  }
  return HuggingFaceTokenizer(json.dumps(source), template, ["<e>"], {"eos_token": "<e>"})


_EACH = "{% for m in messages %}"
TEMPLATES = {
  # What came before an answer is left out once there is a reply to it.
  _EACH + "{{ 'q:' if loop.last else 'z:' }}{{ m.content }}<e>{% endfor %}": "does not begin",
  _EACH + "{{ m.content }}.{% endfor %}": "no stop token follows",
  "{{ messages[0].content }}:{% if messages[1] %}{{ messages[1].content }}<e>{% endif %}": "leaves",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_that_have_no_place_for_a_reply_are_one_line(template):
  with pytest.raises(ConfigError, match=TEMPLATES[template]):
    make_between(_templated(template), 20)


def test_a_template_of_ones_own_is_followed():
  own = _EACH + "{{ m.role }}:{{ m.content }}<e>{% endfor %}assistant:"
  tokenizer = _templated(own)
  assert make_between(tokenizer)("hi")[0] == tokenizer.encode("user:hi<e>assistant:")
