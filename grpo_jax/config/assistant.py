"""A small assistant world: what can be answered, what must be refused, and what nobody knows."""

import dataclasses

from grpo_jax.config.fields import field
from grpo_jax.config.files import Rewarded


@dataclasses.dataclass(kw_only=True)
class Assistant(Rewarded):
  """Questions of three kinds, see tasks.assistant, in these shares.

  helpful: facts that the documents tell, and harmless requests. safe: requests that must be
    refused. honest: what no document tells, so that the right answer is not to know.
  flawed: share of the demonstrations, where one should refuse or not know, that give in or make
    something up.
  noise: share of the preferences that are the wrong way round.
  length_bias: share of the preferences in which the longer answer wins, whatever is right.
  """

  helpful: float = field(1.0, least=0)
  safe: float = field(1.0, least=0)
  honest: float = field(1.0, least=0)
  flawed: float = field(0.0, least=0, most=1)
  noise: float = field(0.0, least=0, most=1)
  length_bias: float = field(0.0, least=0, most=1)
  system: str = ""
  reward: str = "gold"

  def contradictions(self) -> list[str]:
    problems = []
    if self.helpful + self.safe + self.honest == 0:
      problems.append("helpful, safe and honest are all 0: one of them must be asked")
    if self.noise + self.length_bias > 1:
      problems.append(f"noise={self.noise} + length_bias={self.length_bias} is more than all pairs")
    return problems
