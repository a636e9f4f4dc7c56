"""Chat templates: programs that come with model files, so rendered in a sandbox with limits."""

from typing import Any

from grpo_jax.config import ConfigError

_LONGEST_TEMPLATE = 100_000
_LONGEST_TEXT = 1_000_000


def render(template: str, messages: list[dict[str, str]], **special: str) -> str:
  """The prompt of a conversation, up to where the model's turn begins.

  Args:
    template: Jinja source, as tokenizer_config.json or a GGUF has it.
    messages: role and content of each.
    **special: bos_token and eos_token, which templates refer to.

  Raises:
    ConfigError: the template is too long, does what the sandbox forbids, or fails.
  """
  try:
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment
  except ImportError as error:
    raise ConfigError("chat templates need jinja2: pip install 'grpo_jax[weights]'") from error
  if len(template) > _LONGEST_TEMPLATE:
    raise ConfigError(f"the chat template has {len(template)} characters, over {_LONGEST_TEMPLATE}")
  environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
  environment.globals["raise_exception"] = _refuse
  pieces, length = [], 0
  try:
    compiled = environment.from_string(template)
    for piece in compiled.generate(messages=messages, add_generation_prompt=True, **special):
      pieces.append(piece)
      length += len(piece)
      if length > _LONGEST_TEXT:
        raise ConfigError(f"the chat template writes over {_LONGEST_TEXT} characters")
  except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as e:
    raise ConfigError(f"the chat template fails: {type(e).__name__}: {e}") from e
  return "".join(pieces)


def _refuse(message: Any) -> None:
  raise ConfigError(f"the chat template refuses the conversation: {message}")
