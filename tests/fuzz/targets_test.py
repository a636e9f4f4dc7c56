"""Files that are whole but for a few bytes, and JSON with anything anywhere: read, or one line."""

import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, attempt

for _package in ("gguf", "jinja2", "pyarrow", "safetensors", "tokenizers"):
  pytest.importorskip(_package)

# Each template takes a process: chat_test.py and make fuzz have those.
_NAMES = sorted(set(TARGETS) - {"template"})
_quickly = settings(
  max_examples=60,
  deadline=None,
  derandomize=True,
  suppress_health_check=[HealthCheck.function_scoped_fixture],
)
_SECONDS = 10  # of the processor: a machine that is busy is no fault of a file

_WORDS = (b"", b"../", b"/etc/passwd", b"\xff", b"\xed\xa0\x80", b"\\ud800", b"NaN", b"1e999")
_WORDS += (b"-1", b"9" * 400, b"[" * 999, b'{"a":' * 999, b"\0" * 64, b"\xff" * 8, b"\x7f" * 8)


@st.composite
def mutated(draw, seeds):
  """One of the seeds after some bytes are set, cut out, doubled, or replaced by a bad word."""
  data = bytearray(draw(st.sampled_from(seeds)))
  for _ in range(draw(st.integers(1, 4))):
    # Headers, where all counts are, are as likely as all the rest.
    end = draw(st.sampled_from([16, 400, len(data)]))
    at = draw(st.integers(0, max(min(end, len(data)) - 1, 0)))
    size = draw(st.integers(0, 64))
    kind = draw(st.sampled_from(["flip", "cut", "double", "word", "end"]))
    if kind == "flip" and data:
      data[at] ^= 1 << draw(st.integers(0, 7))
    elif kind == "cut":
      del data[at : at + size]
    elif kind == "double":
      data[at:at] = data[at : at + size]
    elif kind == "word":
      word = draw(st.sampled_from(_WORDS))
      data[at : at + len(word)] = word
    elif kind == "end":
      del data[max(len(data) - size, 0) :]
  return bytes(data)


@pytest.fixture(params=_NAMES)
def target(request, tmp_path):
  """A target that has been read once, whole: what it imports late is there."""
  found = TARGETS[request.param]
  for seed in found.seeds()[:1]:
    found.read(found.place(seed, str(tmp_path)))
  return found


def _timely(target, data, folder) -> str:
  started = time.process_time()
  line = attempt(target, data, folder)
  assert time.process_time() - started < _SECONDS
  return line


def test_whole_files_are_read_and_broken_ones_are_one_line(target, tmp_path):
  seeds, folder = target.seeds(), str(tmp_path)
  assert attempt(target, seeds[0], folder) == ""
  refused = []

  @_quickly
  @given(mutated(seeds))
  def check(data):
    refused.append(_timely(target, data, folder))

  check()
  assert any(refused)


_JSON = ["config", "tokenizer", "tokenizer_config", "index"]
_VALUES = [
  None,
  True,
  -1,
  0,
  2**31,
  2**64,
  10**400,
  1e308,
  float("nan"),
  float("inf"),
  "",
  "\ud800",
]
_VALUES += ["../../etc/passwd", "\0", "a" * 9999, [], {}, [[]], {"a": 1}, ["<|im_end|>"] * 3]


def _places(value, path=()):
  """Paths of all that is in a JSON value; of long lists and objects the first few."""
  yield path
  if isinstance(value, (dict, list)):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(items)[:24]:
      yield from _places(item, (*path, key))


def _replaced(value, path, new):
  if not path:
    return new
  copied = value.copy()
  copied[path[0]] = _replaced(value[path[0]], path[1:], new)
  return copied


@pytest.mark.parametrize("name", _JSON)
def test_anything_may_stand_anywhere_in_json(name, tmp_path):
  target, folder = TARGETS[name], str(tmp_path)
  sources = [json.loads(seed) for seed in target.seeds()]
  target.read(target.place(target.seeds()[0], folder))
  places = [(source, path) for source in sources for path in _places(source)]

  @settings(_quickly, max_examples=250)
  @given(st.sampled_from(places), st.sampled_from(_VALUES))
  def check(place, new):
    _timely(target, json.dumps(_replaced(*place, new)).encode(), folder)

  check()
