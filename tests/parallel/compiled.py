"""Programs of populations, noted as they are made."""

from grpo_jax.parallel.joined import Joined


def note_programs(monkeypatch) -> list:
  """Fills with every program that members are given from now on; each knows its _cache_size()."""
  made, compile_ = [], Joined._compile

  def noted(*args):
    made.append(compile_(*args))
    return made[-1]

  monkeypatch.setattr(Joined, "_compile", noted)
  return made
