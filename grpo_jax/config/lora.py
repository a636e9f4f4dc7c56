"""Low-rank adapters, trained in place of the weights that they are added to."""

import dataclasses

from grpo_jax.config.fields import Config, field

TARGETS = ("query", "key", "value", "output", "gate", "up", "down")


@dataclasses.dataclass(kw_only=True)
class LoRA(Config):
  """A weight W stays as it is, and W + alpha / rank A B is used; Hu et al. 2021, eq. 3.

  rank: columns of A and rows of B; 0 trains the weights themselves. alpha: as above.
  targets: the weights of each layer that have adapters; all seven learn as full training does,
    attention alone does not (Schulman et al. 2025). The learning rate wants to be about ten times
    that of full training.
  """

  rank: int = field(0, least=0)
  alpha: float = field(32.0, above=0)
  targets: tuple[str, ...] = TARGETS

  @property
  def scale(self) -> float:
    """What A B is multiplied with."""
    return self.alpha / self.rank

  def contradictions(self) -> list[str]:
    if not self.rank and (self.alpha, self.targets) != (32.0, TARGETS):
      return [f"alpha={self.alpha}, targets={self.targets} without adapters: rank=0"]
    unknown = sorted(set(self.targets) - set(TARGETS))
    if unknown or not self.targets or len(set(self.targets)) < len(self.targets):
      return [f"targets={self.targets}: must be some of {', '.join(TARGETS)}, each once"]
    return []
