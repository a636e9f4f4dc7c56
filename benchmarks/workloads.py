"""The workloads that are timed side by side; plain Python, read in every environment."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Workload:
  """One GRPO step: P prompts of S tokens, G answers of exactly T tokens, one AdamW update.

  remat: activations of layers are computed again in the backward pass, in every framework.
  memory_only: one step, compilation included, is enough.
  """

  prompts: int
  prompt_tokens: int
  group_size: int
  answer_tokens: int
  remat: bool = False
  memory_only: bool = False


WORKLOADS = {
  "w1": Workload(prompts=2, prompt_tokens=46, group_size=8, answer_tokens=64),
  "w2": Workload(prompts=2, prompt_tokens=512, group_size=16, answer_tokens=64),
  "w4": Workload(
    prompts=1, prompt_tokens=46, group_size=8, answer_tokens=1024, remat=True, memory_only=True
  ),
}
