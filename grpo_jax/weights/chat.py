"""Chat templates: programs that come with model files, so rendered elsewhere, with limits."""

import importlib.util
import json
import os
import subprocess
import sys
import threading
import weakref

from grpo_jax.weights.errors import WeightsError

Messages = list[dict[str, str]]

_LONGEST_TEMPLATE = 100_000
_SANDBOX = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sandbox.py")


class Renderer:
  """One chat template, rendered by a sandboxed process that starts with the first conversation.

  Args:
    template: Jinja source, as tokenizer_config.json or a GGUF has it.
    special: bos_token, eos_token and so on, which templates refer to.
  """

  def __init__(self, template: str, special: dict[str, str]):
    if len(template) > _LONGEST_TEMPLATE:
      raise WeightsError(
        f"the chat template has {len(template)} characters, over the limit of {_LONGEST_TEMPLATE}"
      )
    self._template, self._special = template, special
    self._process: subprocess.Popen[str] | None = None
    self._lock = threading.Lock()

  def __call__(self, messages: Messages) -> str:
    """The prompt of a conversation, up to where the model's turn begins.

    Raises:
      WeightsError: the template does what the sandbox forbids, fails, or exceeds its limits.
    """
    values = {**self._special, "messages": messages, "add_generation_prompt": True}
    with self._lock:
      reply = self._ask(json.dumps({"template": self._template, "values": values}))
    if "error" in reply:
      raise WeightsError(f"the chat template cannot be used: {reply['error']}")
    return reply["text"]

  def _ask(self, request: str) -> dict[str, str]:
    process = self._running()
    assert process.stdin is not None  # it is a pipe, as stdout is
    assert process.stdout is not None
    try:
      process.stdin.write(request + "\n")
      process.stdin.flush()
      line = process.stdout.readline()
    except BrokenPipeError:
      line = ""
    if line.endswith("\n"):  # half a line is of a process that was ended as it wrote
      return json.loads(line)
    _stop(process)
    return {"error": "it ran over its limits of processor time or memory"}

  def _running(self) -> "subprocess.Popen[str]":
    if self._process is None or self._process.poll() is not None:
      if importlib.util.find_spec("jinja2") is None:
        raise WeightsError("chat templates need jinja2: pip install 'grpo_jax[weights]'")
      self._process = subprocess.Popen(
        # -P: this folder's module names must not hide those of libraries.
        [sys.executable, "-P", _SANDBOX],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        start_new_session=True,  # Ctrl-C is for the run, not for its helper
      )
      weakref.finalize(self, _stop, self._process)
    return self._process


def _stop(process: "subprocess.Popen[str]") -> None:
  process.kill()
  process.communicate()
