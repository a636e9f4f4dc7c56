"""How rewards that are written in Python are called."""

import dataclasses

from grpo_jax.config.fields import Config, field


@dataclasses.dataclass(kw_only=True)
class Scoring(Config):
  """Rewards of one's own, "file.py:function", are called in processes beside the run.

  An answer at which a reward raises, takes too long, crashes, or returns no number has no score.

  workers: how many processes; 0 calls them in the run's own, where nothing ends one that hangs.
    Built-in rewards are called there always.
  timeout_s: seconds that a reward has for one answer; its process is killed then.
  memory_gb: address space of a worker; 0 for no limit.
  max_failed: the run stops where more than this share of a batch's answers failed so; in [0, 1].
  """

  workers: int = field(2, least=0)
  timeout_s: float = field(30.0, above=0)
  memory_gb: float = field(8.0, least=0)
  max_failed: float = field(0.1, least=0, most=1)
