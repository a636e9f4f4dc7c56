"""Files of texts and chats: what is read, and the one line where it cannot be."""

import json

import pytest

from grpo_jax.config import ConfigError, Texts
from grpo_jax.tasks.texts import read_chats, read_texts

_USER, _ASSISTANT = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}


@pytest.fixture
def files(tmp_path):
  def write(train, held, column):
    paths = tmp_path / "train.jsonl", tmp_path / "held.jsonl"
    for path, values in zip(paths, (train, held), strict=True):
      path.write_text("".join(json.dumps({column: value}) + "\n" for value in values))
    return Texts(train=str(paths[0]), held_out=str(paths[1]), column=column)

  return write


def test_texts_keep_their_order_and_their_places(files):
  train, held = read_texts(files(["one", " two\n"], ["three"], "body"))
  assert [(where.rsplit("/")[-1], text) for where, text in train + held] == [
    ("train.jsonl:1", "one"),
    ("train.jsonl:2", " two\n"),
    ("held.jsonl:1", "three"),
  ]


def test_chats_keep_role_and_content_alone(files):
  turn = {**_USER, "name": "ann", "weight": None}
  ((_, chat),), _ = read_chats(files([[turn, _ASSISTANT]], [[_ASSISTANT]], "messages"))
  assert chat == [_USER, _ASSISTANT]


def _refused(read, config) -> str:
  with pytest.raises(ConfigError) as error:
    read(config)
  assert "\n" not in str(error.value)
  return str(error.value)


@pytest.mark.fault(20)
@pytest.mark.parametrize(
  ("value", "said"),
  [
    (3, "expected a JSON object with text in 'text', found 'text'"),
    (None, "expected a JSON object with text in 'text', found 'text'"),
    (" \n", "'text' is empty"),
  ],
)
def test_bad_texts_are_one_line(files, value, said):
  line = _refused(read_texts, files(["good", value], ["held"], "text"))
  assert "train.jsonl:2: " + said in line


@pytest.mark.fault(20)
@pytest.mark.parametrize(
  ("value", "said"),
  [
    ("text", "expected a JSON object with a list of {'role': ..., 'content': ...} in 'messages'"),
    (["text"], "expected a JSON object with a list"),
    ([], "'messages' does not end with the assistant's words"),
    ([_ASSISTANT, _USER], "'messages' does not end with the assistant's words"),
    ([{"role": "user"}, _ASSISTANT], "'messages' has a turn without role or content"),
    (
      [{"role": "user", "content": ["q"]}, _ASSISTANT],
      "'messages' has a turn without role or content",
    ),
    ([_USER, {**_ASSISTANT, "content": " "}], "'messages' has an empty answer of the assistant"),
  ],
)
def test_bad_chats_are_one_line(files, value, said):
  line = _refused(read_chats, files([[_USER, _ASSISTANT], value], [[_ASSISTANT]], "messages"))
  assert "train.jsonl:2: " + said in line


@pytest.mark.fault(20)
def test_another_column_is_named(files):
  config = files(["one"], ["two"], "body")
  config.column = "text"
  assert "found 'body'" in _refused(read_texts, config)


@pytest.mark.fault(20)
@pytest.mark.parametrize(("read", "same"), [(read_texts, "one"), (read_chats, [_USER, _ASSISTANT])])
def test_what_is_trained_on_is_not_held_out(files, read, same):
  others = ["two", "three"] if read is read_texts else [[_ASSISTANT], [_USER, _USER, _ASSISTANT]]
  config = files([others[0], same], [others[1], same], "text")
  assert "1 rows of" in (line := _refused(read, config))
  assert "held.jsonl:2" in line
