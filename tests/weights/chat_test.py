"""Chat templates are programs of strangers: what they may do, and what ends them."""

import os
import subprocess
import sys
import time
import tracemalloc

import pytest

from grpo_jax import weights
from grpo_jax.weights.chat import Renderer
from tests.weights.helpers import one_line

pytest.importorskip("jinja2")
HELLO = [{"role": "user", "content": "hello"}]


def render(template: str, **special: str) -> str:
  return Renderer(template, special)(HELLO)


def test_a_template_sees_what_transformers_gives_it():
  template = (
    "{{ bos_token }}\n{% for message in messages %}\n    {% if true %}\n"
    "{{ message['role'] }}:{{ message.content }}\n    {% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}{{ '>' }}{% endif %}{% if tools %}no{% endif %}"
  )
  # A block takes the line end after it and the blanks before it along, as in transformers.
  assert render(template, bos_token="<s>") == "<s>\nuser:hello\n>"


def test_json_is_not_escaped_and_loops_can_break():
  assert render("{{ {'a': '<é>'} | tojson }}") == '{"a": "<é>"}'
  assert render("{% for a in [1, 2] %}{{ a }}{% break %}{% endfor %}") == "1"


def test_any_text_of_a_user_passes():
  text = "{{ 7 * 7 }} {% raw %} \r\n \x00 \u2028 😀"
  assert Renderer("{{ messages[0].content }}", {})([{"role": "user", "content": text}]) == text


@pytest.mark.fault(25)
@pytest.mark.parametrize(
  "escape",
  [
    "cycler.__init__.__globals__.os.system('touch {canary}')",
    "lipsum.__globals__['os'].popen('touch {canary}').read()",
    "namespace.__init__.__globals__['__builtins__']['open']('{canary}', 'w')",
    "''.__class__.__mro__[1].__subclasses__()",
    # Of the published attacks on llama-cpp-python and on SGLang.
    "(messages | first).__class__.__base__.__subclasses__()[0].__init__.__globals__",
    "self.__init__.__globals__['__builtins__']['__import__']('os').system('touch {canary}')",
    "(''|attr('__class__')).mro()",
    "(''|attr('__cl'~'ass__'))()",
    "(''|attr('format'))('{{0.__class__.__mro__}}', '').missing.missing",
    "(['']|map(attribute='__class__')|first).mro()",
    "raise_exception.__globals__['os'].missing",
    "'{{0.__class__.__mro__}}'.format(messages)",
    "messages.append(messages)",
    "messages[0].update(content='')",
  ],
)
def test_no_way_out_of_the_sandbox(tmp_path, escape):
  canary = tmp_path / "canary"
  with pytest.raises(weights.WeightsError, match=r"SecurityError|Undefined|TypeError") as info:
    render("{{ " + escape.format(canary=canary) + " }}")
  one_line(info)
  assert not canary.exists()


@pytest.mark.fault(25)
@pytest.mark.parametrize(
  ("template", "said"),
  [
    (
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
      "processor time",
    ),
    ("{{ 9 ** (9 ** 9) }}", "processor time"),
    ("{% for a in range(100001) %}{% endfor %}", "OverflowError"),
    ("{{ 'a' * 10 ** 10 }}", "emory"),
    (
      "{% set n = namespace(x='ab') %}{% for a in range(99) %}{% set n.x = n.x ~ n.x %}"
      "{% endfor %}{{ n.x }}",
      "emory",  # MemoryError, or killed for it
    ),
    ("{% for a in range(99999) %}{{ 'a' * 99 }}{% endfor %}", "over 1000000 characters"),
    ("{{ 'a' * 1000001 }}", "over 1000000 characters"),
    ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "RecursionError"),
    ("{% macro f(n) %}{{ f(n) ~ f(n) }}{% endmacro %}{{ f(1) }}", "RecursionError"),
    ("{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}", "RecursionError"),
    ("{% for a in range(9**4) %}{% for b in range(9**4) %}{% endfor %}{% endfor %}" * 9, "time"),
    ("{{ range(10 ** 9) | list }}", "OverflowError"),
    ("{{ '%1000000000d' % 1 }}", "emory"),
    ("{{ '%999999999s' | format('a') }}", "emory"),
    ("{{ '{:>100000000}'.format('a') }}", "over 1000000 characters"),
    ("{{ 'a' | center(10 ** 9) }}", "emory"),
    ("{{ 'a\nb' | indent(10 ** 9) }}", "emory"),
    ("{{ [1] | tojson(indent=10 ** 10) }}", "emory"),
    ("{{ ('a' * 10 ** 5) | replace('a', 'a' * 10 ** 5) | length }}", "emory"),
    ("{{ range(9) | slice(10 ** 9) | list | length }}", "emory"),
    ("{{ lipsum(n=1, min=10 ** 9, max=10 ** 9 + 1) | length }}", "emory"),
    ("{{ 10 ** (10 ** 8) }}", "emory"),
    ("{{ " + "(" * 40_000 + "1" + ")" * 40_000 + " }}", "RecursionError"),
    ("{% if 1 %}" * 4000 + "{% endif %}" * 4000, "RecursionError"),
    ("{{ raise_exception('a' * 10 ** 8) }}", "refuses the conversation: aaa"),
    ("{{ raise_exception('\ud800\x1b[2J') }}", "refuses the conversation: \ufffd\ufffd[2J"),
    ("{% include '/etc/passwd' %}", "no loader"),
    ("{% extends '../secret' %}", "no loader"),
    ("a" * 100_001, "over the limit of 100000"),
    ("{% if %}", "TemplateSyntaxError"),
    ("{{ nothing.at.all }}", "UndefinedError"),
    ("{{ raise_exception('only\nusers') }}", "refuses the conversation: only users"),
  ],
)
def test_what_goes_wrong_is_one_line_and_ends(template, said):
  started = time.monotonic()
  with pytest.raises(weights.WeightsError) as info:
    render(template)
  line = one_line(info)
  assert said in line
  assert line.isprintable()
  assert len(line) < 600
  assert time.monotonic() - started < 60


@pytest.mark.fault(25)
def test_a_long_refusal_stays_in_its_process():
  """What a template says of itself was read whole: 800 MB of it."""
  renderer = Renderer("{{ raise_exception('a' * 10 ** 8) }}", {})
  tracemalloc.start()
  with pytest.raises(weights.WeightsError):
    renderer(HELLO)
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  assert peak < 1_000_000


def test_half_a_reply_is_none():
  """Of a process that was ended as it wrote."""
  renderer = Renderer("{{ messages[0].content }}", {})
  code = 'import sys; sys.stdin.readline(); sys.stdout.write(\'{"text": "he\')'
  pipe = subprocess.PIPE
  renderer._process = subprocess.Popen(
    [sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True
  )
  with pytest.raises(weights.WeightsError, match="over its limits"):
    renderer(HELLO)
  assert renderer(HELLO) == "hello"


@pytest.mark.fault(25)
def test_behind_the_sandbox_nothing_is_written_and_nothing_started(tmp_path):
  """As if Jinja's own had a hole: what the process itself may not do."""
  code = (
    "import os, sys; sys.path.insert(0, sys.argv[1]); import sandbox; sandbox._limit_process()\n"
    "file = open(sys.argv[2], 'w', buffering=1)\n"
    "try: file.write('a\\n')\n"
    "except OSError: print('no file')\n"
    "import resource; print(resource.getrlimit(resource.RLIMIT_NPROC))"
  )
  place, path = os.path.dirname(weights.__file__), str(tmp_path / "canary")
  done = subprocess.run([sys.executable, "-c", code, place, path], capture_output=True, text=True)
  assert done.stdout.splitlines() == ["no file", "(0, 0)"]
  assert os.path.getsize(path) == 0


def test_a_hard_limit_of_a_cluster_is_kept(tmp_path):
  code = (
    "import resource, sys; sys.path.insert(0, sys.argv[1]); import sandbox\n"
    "resource.setrlimit(resource.RLIMIT_AS, (800 << 20, 900 << 20))\n"
    "sandbox._limit_process(); print(*resource.getrlimit(resource.RLIMIT_AS))"
  )
  place = os.path.dirname(weights.__file__)
  done = subprocess.run([sys.executable, "-c", code, place], capture_output=True, text=True)
  assert done.stdout.split() == [str(900 << 20)] * 2


def test_a_process_that_died_is_replaced():
  renderer = Renderer("{{ messages[0].content }}{{ 1 // messages | length }}", {})
  assert renderer(HELLO) == "hello1"
  first = renderer._process
  first.kill()
  first.wait()
  assert renderer(HELLO) == "hello1"
  assert renderer._process.pid != first.pid


def test_the_process_ends_with_its_renderer():
  renderer = Renderer("{{ messages[0].content }}", {})
  renderer(HELLO)
  process = renderer._process
  assert os.path.exists(f"/proc/{process.pid}") or os.name != "posix"
  del renderer
  assert process.poll() is not None
