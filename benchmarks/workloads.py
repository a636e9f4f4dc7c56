"""The workloads that are timed side by side; plain Python, read in every environment."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Workload:
  """One GRPO step: P prompts of S tokens, G answers of exactly T tokens, one AdamW update.

  remat: activations of layers are computed again in the backward pass, in every framework.
  steps: timed steps of a run, after one that compiles; 0: that one is all.
  rounds: runs of each contender. limit: seconds until a run is given up.
  peer_parts: parts in which TRL and Tunix take the update, where 24 GB do not hold it whole.
  parts: ours. dtype, logprob_chunk: of our model.
  shape: of a published model with random weights, for an accelerator; SmolLM2 otherwise.
  """

  prompts: int
  prompt_tokens: int
  group_size: int
  answer_tokens: int
  remat: bool = False
  steps: int = 1
  rounds: int = 1
  limit: int = 1800
  peer_parts: int = 1
  parts: int = 1
  dtype: str = "float32"
  logprob_chunk: int = 128
  shape: str = ""


WORKLOADS = {
  "w1": Workload(2, 46, 8, 64, steps=2, rounds=3, limit=300),
  "w2": Workload(2, 512, 16, 64, peer_parts=2),
  # For its memory.
  "w4": Workload(1, 46, 8, 1024, remat=True, steps=0),
  "w6": Workload(
    *(32, 128, 8, 256),
    remat=True,
    steps=3,
    limit=300,
    peer_parts=8,
    parts=4,
    dtype="bfloat16",
    logprob_chunk=4096,
    shape="qwen2.5-0.5b",
  ),
}
