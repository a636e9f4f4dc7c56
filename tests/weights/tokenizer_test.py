"""Tokenizers: one of single characters, and those of folders, with their stop tokens."""

import json
import os
import string

import pytest

from grpo_jax import weights
from grpo_jax.config import ConfigError
from grpo_jax.weights.tokenizer import CharacterTokenizer
from tests.weights.helpers import copy_of, edit_json, one_line, refused

PRINTABLE = string.digits + string.ascii_letters + string.punctuation + " \n"
START, END, TEXT_END = "<|im_start|>", "<|im_end|>", "<|endoftext|>"


@pytest.fixture
def folder(tmp_path):
  return copy_of("llama", tmp_path)


def tokenizer_of(path: str):
  return weights.load(path).tokenizer


# --- single characters


def test_each_character_has_a_token_of_its_own():
  tokenizer = CharacterTokenizer()
  ids = tokenizer.encode(PRINTABLE)
  assert len(set(ids)) == len(PRINTABLE) == 96
  assert tokenizer.decode(ids) == PRINTABLE
  assert set(ids) | set(tokenizer.stop_ids) == set(range(tokenizer.vocab_size))


def test_its_stop_token_is_no_text():
  tokenizer = CharacterTokenizer()
  (stop,) = tokenizer.stop_ids
  assert tokenizer.decode([stop, *tokenizer.encode("a<stop>"), stop]) == "a<stop>"
  assert tokenizer.encode("") == []


@pytest.mark.parametrize("text", ["é", "a\tb", "x\r\n", "數", "\x00"])
def test_a_character_without_a_token_is_named(text):
  with pytest.raises(ConfigError) as info:
    CharacterTokenizer().encode(text)
  (unknown,) = {character for character in text if character not in PRINTABLE}
  assert repr(unknown) in one_line(info)


def test_its_chat_is_the_text_of_the_messages():
  tokenizer = CharacterTokenizer()
  chat = [{"role": "system", "content": "Add.\n"}, {"role": "user", "content": "1+2="}]
  assert tokenizer.encode_chat(chat) == tokenizer.encode("Add.\n1+2=")


# --- tokenizer.json


def test_special_tokens_in_text_are_recognised_and_none_is_added(folder):
  tokenizer = tokenizer_of(folder)
  assert tokenizer.encode(f"{START}{END}{TEXT_END}") == [1, 2, 0]
  a = tokenizer.encode("a")
  assert len(a) == 1
  assert tokenizer.encode(f"a{END}a") == [*a, 2, *a]
  assert tokenizer.decode([1, *a, 2, *a, 0]) == "aa"


def test_a_chat_ends_where_the_model_begins(folder):
  tokenizer = tokenizer_of(folder)
  ids = tokenizer.encode_chat([{"role": "user", "content": "3+4"}])
  assert ids == tokenizer.encode(f"{START}user\n3+4{END}\n{START}assistant\n")
  assert ids.count(1) == 2


def test_a_beginning_token_is_not_doubled(folder):
  """Pitfall 21: a template that writes it, with a tokenizer.json that would add it as well."""
  path = os.path.join(folder, "tokenizer.json")
  with open(path, encoding="utf-8") as file:
    source = json.load(file)
  begin = {"SpecialToken": {"id": TEXT_END, "type_id": 0}}
  source["post_processor"] = {
    "type": "TemplateProcessing",
    "single": [begin, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [
      begin,
      {"Sequence": {"id": "A", "type_id": 0}},
      {"Sequence": {"id": "B", "type_id": 0}},
    ],
    "special_tokens": {TEXT_END: {"id": TEXT_END, "ids": [0], "tokens": [TEXT_END]}},
  }
  with open(path, "w", encoding="utf-8") as file:
    json.dump(source, file)
  edit_json(folder, "tokenizer_config.json", bos_token=TEXT_END)
  with open(os.path.join(folder, "chat_template.jinja"), "w", encoding="utf-8") as file:
    file.write("{{ bos_token }}{{ messages[0].content }}")
  ids = tokenizer_of(folder).encode_chat([{"role": "user", "content": "ab"}])
  assert ids[0] == 0
  assert 0 not in ids[1:]


def test_padding_and_truncation_of_the_file_do_not_count(folder):
  cut = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
  pad = {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": None}
  pad |= {"pad_id": 0, "pad_type_id": 0, "pad_token": TEXT_END}
  edit_json(folder, "tokenizer.json", truncation=cut, padding=pad)
  assert len(tokenizer_of(folder).encode("abcd")) == 4


@pytest.mark.parametrize(
  ("eos", "generation", "expected"),
  [
    (END, 2, (2,)),
    (END, [0, 2], (2, 0)),
    (TEXT_END, [2], (0, 2)),
    ({"content": END, "lstrip": False}, 2, (2,)),
    (None, [2, 0], (2, 0)),
  ],
)
def test_stop_tokens(folder, eos, generation, expected):
  """The tokenizer's own first, then those of the generation config."""
  edit_json(folder, "tokenizer_config.json", eos_token=eos)
  edit_json(folder, "generation_config.json", eos_token_id=generation)
  edit_json(folder, "config.json", eos_token_id=None)
  assert tokenizer_of(folder).stop_ids == expected


def test_without_a_stop_token_there_is_no_model(folder):
  edit_json(folder, "tokenizer_config.json", eos_token=None)
  for name in ("generation_config.json", "config.json"):
    edit_json(folder, name, eos_token_id=None)
  assert "stop token" in refused(folder)


@pytest.mark.parametrize("where", ["string", "list", "beside"])
def test_where_a_template_may_be(folder, where):
  os.remove(os.path.join(folder, "chat_template.jinja"))
  template = "{{ messages[0].content }}!"
  named = [{"name": "tool_use", "template": "?"}, {"name": "default", "template": template}]
  own = {"string": template, "list": named, "beside": "not this one"}[where]
  edit_json(folder, "tokenizer_config.json", chat_template=own)
  if where == "beside":
    with open(os.path.join(folder, "chat_template.jinja"), "w", encoding="utf-8") as file:
      file.write(template)
  tokenizer = tokenizer_of(folder)
  assert tokenizer.encode_chat([{"role": "user", "content": "a"}]) == tokenizer.encode("a!")


def test_without_a_template_a_chat_is_its_text(folder):
  os.remove(os.path.join(folder, "chat_template.jinja"))
  tokenizer = tokenizer_of(folder)
  chat = [{"role": "system", "content": "ab"}, {"role": "user", "content": "c"}]
  assert tokenizer.encode_chat(chat) == tokenizer.encode("abc")


def test_printable_text_survives(folder):
  tokenizer = tokenizer_of(folder)
  assert tokenizer.decode(tokenizer.encode(PRINTABLE)) == PRINTABLE


def test_ids_of_smollm2(smollm2):
  assert smollm2.tokenizer.vocab_size == smollm2.architecture.vocab_size == 49152
  assert smollm2.tokenizer.decode(smollm2.tokenizer.stop_ids) == ""
  assert set(smollm2.tokenizer.stop_ids) == set(smollm2.tokenizer.encode(f"{END}{TEXT_END}"))
