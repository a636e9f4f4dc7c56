"""How long what is sampled may be: one answer, or the turns of an episode."""

import dataclasses

from grpo_jax.config.fields import Config, field


@dataclasses.dataclass(kw_only=True)
class Turns(Config):
  """The most tokens of an answer, or of each turn of an episode in an environment.

  max_tokens: the longest turn, its stop token included. turns: the most that the model takes in an
    episode; 1 without an environment.
  observation_tokens: the most that an observation takes between two turns, with all that the chat
    template puts there; a longer one is cut.
  """

  max_tokens: int = field(64, least=1)
  turns: int = field(1, least=1)
  observation_tokens: int = field(0, least=0)

  @property
  def own_tokens(self) -> int:
    """The most that the model itself writes."""
    return self.turns * self.max_tokens

  @property
  def total_tokens(self) -> int:
    """T, with the observations between the turns."""
    return self.own_tokens + (self.turns - 1) * self.observation_tokens

  def prompt_tokens(self, first: int, turn: int) -> int:
    """The length of what a turn, from 0, is asked with: `first` of the first, always as long."""
    return first + turn * (self.max_tokens + self.observation_tokens)

  def last_prompt(self, first: int) -> int:
    """`prompt_tokens` of the last turn."""
    return self.prompt_tokens(first, self.turns - 1)

  def own_name(self, path: str) -> str:
    """The fields that `own_tokens` is made of."""
    return f"{path}max_tokens" if self.turns == 1 else f"{path}turns x max_tokens"

  def total_name(self, path: str) -> str:
    """The fields that `total_tokens` is made of."""
    if self.turns == 1:
      return f"{path}max_tokens"
    return f"{path}turns x max_tokens with observation_tokens"

  def contradictions(self) -> list[str]:
    if (self.turns > 1) == (self.observation_tokens > 0):
      return []
    return [
      f"turns={self.turns} with observation_tokens={self.observation_tokens}: of several turns an"
      " observation stands between any two, and of one there is none"
    ]
