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
  found = read_texts(files(["one", " two\n"], ["three"], "body"))
  assert [(where.rsplit("/")[-1], text) for where, text in found.train + found.held_out] == [
    ("train.jsonl:1", "one"),
    ("train.jsonl:2", " two\n"),
    ("held.jsonl:1", "three"),
  ]


def test_chats_keep_role_and_content_alone(files):
  turn = {**_USER, "name": "ann", "weight": None}
  ((_, chat),) = read_chats(files([[turn, _ASSISTANT]], [[_ASSISTANT]], "messages")).train
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
  assert f"stand in {config.train} too, the first: {str(same)!r}: " in line


def test_one_file_is_divided_and_equal_texts_are_on_one_side(files):
  config = files([f"text {n % 150}" for n in range(300)], ["unread"], "text")
  config.held_out, config.held_out_share = "", 0.2
  found = read_texts(config)
  train, held = ({text for _, text in side} for side in (found.train, found.held_out))
  assert not train & held
  assert train | held == {f"text {n}" for n in range(150)}
  assert len(found.train) + len(found.held_out) == 300
  assert 0.08 < len(held) / 150 < 0.35
  assert read_texts(config) == found


def test_a_side_without_rows_is_one_line(files):
  config = files(["one"], ["unread"], "text")
  config.held_out = ""
  assert "of 1 rows none is held out with held_out_share=0.05" in _refused(read_texts, config)


@pytest.mark.fault(20)
def test_rows_that_cannot_be_used_are_left_out_where_told(files):
  config = files(["one", 3, " ", "two"], ["three"], "text")
  with open(config.train, "a") as file:
    file.write("{broken\n")
  assert "train.jsonl:2" in _refused(read_texts, config)
  config.on_bad_row = "skip"
  found = read_texts(config)
  assert [text for _, text in found.train] == ["one", "two"]
  (note,) = found.notes
  assert "train.jsonl: 3 rows were left out, the first: " in note
  assert "train.jsonl:2: expected" in note
  with open(config.train, "w") as file:
    file.write("3\n")
  assert "no rows; 1 rows were left out, the first: " in _refused(read_texts, config)
