"""A small experiment that passes every check, and the one way a config is refused."""

import pytest

from grpo_jax import config


def architecture(**fields) -> config.Architecture:
  return config.Architecture(**{"vocab_size": 32, "context_length": 128, **fields})


def experiment(stage=None, **fields) -> config.Experiment:
  """Passes `config.check`; `stage` replaces its only stage, `fields` any other field."""
  defaults = {
    "model": config.Model(tokenizer="characters", architecture=architecture()),
    "task": config.Addition(),
    "stages": {"grpo": stage or config.GRPO()},
  }
  return config.Experiment(**{**defaults, **fields})


def refused(bad: object, *words: str) -> str:
  """Asserts that `bad` is refused in one line that has all of `words`; returns the line."""
  with pytest.raises(config.ConfigError) as error:
    config.check(bad)
  line = str(error.value)
  assert line
  assert "\n" not in line
  for word in words:
    assert word in line, f"{word!r} is not in {line!r}"
  return line
