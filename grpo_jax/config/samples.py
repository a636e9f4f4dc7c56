"""What is written down of the answers of each step."""

import dataclasses

from grpo_jax.config.fields import Config, field


@dataclasses.dataclass(kw_only=True)
class Samples(Config):
  """samples.jsonl holds every prompt with its answers; this is what it holds besides.

  token_prompts: of the first so many prompts of a step also the answers' tokens, as texts, with the
    log-probs that they were sampled at; 0 for none. They take about four times the answers' bytes.
  """

  token_prompts: int = field(2, least=0)
