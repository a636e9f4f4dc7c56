"""Chat templates are programs of strangers: what they may do, and what ends them."""

import os
import time

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


@pytest.mark.parametrize(
  "escape",
  [
    "cycler.__init__.__globals__.os.system('touch {canary}')",
    "lipsum.__globals__['os'].popen('touch {canary}').read()",
    "namespace.__init__.__globals__['__builtins__']['open']('{canary}', 'w')",
    "''.__class__.__mro__[1].__subclasses__()",
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
  assert said in one_line(info)
  assert time.monotonic() - started < 60


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
