"""The workloads that are timed side by side; plain Python, read in every environment."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Workload:
  """One GRPO step: P prompts of S tokens, G answers of exactly T tokens, one AdamW update."""

  prompts: int
  prompt_tokens: int
  group_size: int
  answer_tokens: int


WORKLOADS = {
  "w1": Workload(prompts=2, prompt_tokens=46, group_size=8, answer_tokens=64),
  "w2": Workload(prompts=2, prompt_tokens=512, group_size=16, answer_tokens=64),
}
