"""Readers of files that others made, as functions of bytes: for hypothesis and atheris."""

import contextlib
import dataclasses
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator

from grpo_jax import weights
from grpo_jax.config import ConfigError, Questions
from grpo_jax.tasks import build
from grpo_jax.tasks.sides import read_file
from grpo_jax.weights.chat import Renderer
from tests.weights.helpers import DATA, copy_of

_CHAT = [{"role": "user", "content": "3 + 4"}]
# What a reader never does, as Python's own audit tells it.
_FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect")
_FORBIDDEN += ("os.remove", "os.rename", "os.mkdir", "pickle.find_class", "ctypes.dlopen")
_watched: list[tuple[str, list[str]]] = []


@dataclasses.dataclass(frozen=True)
class Target:
  """A file's reader.

  seeds: makes files that are whole.
  place: (bytes, scratch folder) -> what is read: a path, or the text itself.
  read: reads and uses it.
  watched: whether it has to do without other files and processes.
  """

  seeds: Callable[[], list[bytes]]
  place: Callable[[bytes, str], str]
  read: Callable[[str], object]
  watched: bool = True


def attempt(target: Target, data: bytes, folder: str) -> str:
  """The line by which the bytes are refused, "" where they are read; all else is raised."""
  placed = target.place(data, folder)
  with _watching(folder) if target.watched else contextlib.nullcontext():
    try:
      target.read(placed)
      return ""
    except ConfigError as error:
      line = str(error)
  assert line.isprintable(), f"not one plain line: {line!r}"
  assert len(line) < 1000, f"too long: {line[:99]!r}"
  assert folder in line or "chat template" in line or "the tokenizer" in line, line
  return line


@contextlib.contextmanager
def _watching(folder: str) -> Iterator[None]:
  """Fails where something is run, or a file opened that is not of the folder."""
  seen: list[str] = []
  _watched.append((folder, seen))
  try:
    yield
  finally:
    _watched.remove((folder, seen))
  assert not seen, f"it did {seen[:3]}"


def _audit(event: str, arguments: tuple) -> None:
  if not _watched:
    return
  folder, seen = _watched[-1]
  if event == "open" and isinstance(arguments[0], str):
    # Libraries load parts of themselves when first asked.
    homes = (folder, *(os.path.realpath(path) for path in sys.path if path))
    inside = os.path.realpath(arguments[0]).startswith(homes)
    if not inside or str(arguments[1]) not in ("r", "rb", "None"):
      seen.append(f"open {arguments[:2]}")
  elif event in _FORBIDDEN:
    seen.append(event)


sys.addaudithook(_audit)


def _beside(name: str, *removed: str) -> Callable[[bytes, str], str]:
  """Puts a file into a copy of the recorded llama, from which others are removed."""

  def place(data: bytes, folder: str) -> str:
    path = os.path.join(folder, "llama")
    if not os.path.isdir(path):
      copy_of("llama", folder)
      for other in removed:
        os.remove(os.path.join(path, other))
    _alone(name)(data, path)
    return path

  return place


def _alone(name: str) -> Callable[[bytes, str], str]:
  def place(data: bytes, folder: str) -> str:
    with open(path := os.path.join(folder, name), "wb") as file:
      file.write(data)
    return path

  return place


def _rows(path: str) -> object:
  """Reads all rows of a file."""
  return read_file(path, "expected this", lambda where, row: (where, row))


def _model(path: str) -> object:
  """Reads a model and uses its tokenizer."""
  loaded = weights.load(path)
  rows = loaded.architecture.vocab_size
  assert len(loaded.params["embed"]) == rows
  ids = loaded.tokenizer.encode("ab 12 <|im_end|>")
  assert all(0 <= index < rows for index in (*ids, *loaded.tokenizer.stop_ids))
  return loaded.tokenizer.decode(ids)


def _recorded(*names: str) -> Callable[[], list[bytes]]:
  def seeds() -> list[bytes]:
    found = []
    for name in names:
      with open(os.path.join(DATA, "llama", name), "rb") as file:
        found.append(file.read())
    return found

  return seeds


def _indices() -> list[bytes]:
  from safetensors.numpy import load

  names = load(_recorded("model.safetensors")()[0])
  whole = {"weight_map": dict.fromkeys(names, "model.safetensors")}
  return [json.dumps(whole).encode(), b'{"weight_map": {"a": "../a.safetensors"}}']


def _gguf() -> list[bytes]:
  from tests.weights.gguf_file_test import write

  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "a.gguf")
    found = []
    for family in ("llama", "qwen3"):
      write(path, family=family, template="{{ messages[0].content }}")
      with open(path, "rb") as file:
        found.append(file.read())
  return found


def _parquet() -> list[bytes]:
  import pyarrow
  import pyarrow.parquet

  rows = [{"text": f"what is {i}?", "n": i, "turns": [{"role": "user"}]} for i in range(9)]
  found = []
  for kind in ("none", "snappy", "zstd"):
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), buffer, compression=kind)
    found.append(buffer.getvalue())
  return found


def _questions(path: str) -> object:
  """Indexes a file of questions, in both ways with broken rows, and asks some of them."""
  config = Questions(train=path, held_out_share=0.3)
  build(dataclasses.replace(config, on_bad_row="skip")).sample(0, 0, 3)
  return build(config).held_out(1)


def _question_rows() -> list[dict]:
  return [{"question": f"what is {i}?", "answer": i, "more": [i]} for i in range(12)]


def _question_lines() -> list[bytes]:
  lines = [json.dumps(row) for row in _question_rows()]
  return [("\n".join(lines) + "\n").encode(), ("\ufeff" + "\r\n\n".join(lines)).encode()]


def _question_parquet() -> list[bytes]:
  import pyarrow
  import pyarrow.parquet

  buffer = io.BytesIO()
  table = pyarrow.Table.from_pylist(_question_rows())
  pyarrow.parquet.write_table(table, buffer, row_group_size=5)
  return [buffer.getvalue()]


def _templates() -> list[bytes]:
  texts = [
    "{% for m in messages %}{{ m.role }}{{ m['content'] | trim }}{% endfor %}",
    "{% set n = namespace(x=1) %}{% macro f(a) %}{{ a ~ n.x }}{% endmacro %}{{ f('a') }}",
    "{% for a in range(9) recursive %}{% if loop.first %}{% break %}{% endif %}{% endfor %}",
    "{{ 'a' * 9 ** 2 }}{{ '%9d' % 1 }}{{ '{:>9}'.format(1) }}{{ raise_exception('x') }}",
    "{{ ''.__class__ }}{{ ''|attr('__class__') }}{{ cycler.__init__.__globals__ }}",
  ]
  return [text.encode() for text in texts]


TARGETS = {
  "gguf": Target(_gguf, _alone("a.gguf"), _model),
  "safetensors": Target(_recorded("model.safetensors"), _beside("model.safetensors"), _model),
  "config": Target(_recorded("config.json"), _beside("config.json"), _model),
  "tokenizer": Target(_recorded("tokenizer.json"), _beside("tokenizer.json"), _model),
  "tokenizer_config": Target(
    lambda: [
      *_recorded("tokenizer_config.json")(),
      b'{"eos_token": "<|im_end|>", "chat_template": [{"name": "default", "template": "a"}]}',
    ],
    _beside("tokenizer_config.json", "chat_template.jinja"),
    _model,
  ),
  "index": Target(
    _indices,
    _beside("model.safetensors.index.json"),
    _model,
  ),
  # The one that starts a process: what that may do is tested in tests/weights/chat_test.py.
  "template": Target(
    _templates,
    lambda data, folder: data.decode("utf-8", "replace"),
    lambda text: Renderer(text, {})(_CHAT),
    watched=False,
  ),
  "jsonl": Target(
    lambda: [b'{"text": "a", "n": [1, 2.5, null, {"b": "\\u00e9"}]}\n\n{"text": "b"}\r\n'],
    _alone("a.jsonl"),
    _rows,
  ),
  "questions": Target(_question_lines, _alone("a.jsonl"), _questions),
  "questions_parquet": Target(_question_parquet, _alone("a.parquet"), _questions),
  "parquet": Target(_parquet, _alone("a.parquet"), _rows),
}
