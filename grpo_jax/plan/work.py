"""What one step of a stage computes, as sizes: all that the formulae need of a config."""

import dataclasses
from typing import Any

from grpo_jax.config import (
  GRPO,
  PPO,
  SFT,
  ConfigError,
  Evaluation,
  Pretrain,
  RewardModel,
  Stage,
)
from grpo_jax.config.turns import Turns

# Queries whose scores exist at one time, and spans of them, as in model/attention.py.
_BLOCK = 128
_MOST_SPANS = 4
_BYTES = {"float32": 4, "bfloat16": 2}


@dataclasses.dataclass(frozen=True)
class Work:
  """One step of a stage, over all devices.

  P, S: prompts, or rows of texts, and their length. G, T: answers to each (0 of texts) and their
    length; fed: the tokens of an answer that the decoder reads; headed: tokens of a row whose
    logits are computed. decoded: decode steps of a rollout, 0 where nothing is sampled.
  later: (S, T) of each later turn of an episode, which reads all before it anew, alone.
  updates: optimiser updates of the step. minibatches: parts of P, one an update; micro_batches:
    parts of these, one at a time in memory.
  old, reference: whether log-probs before the update, and those of a reference, are computed.
  critic: "", "separate" or "shared". judges: learned rewards. beside: whether the policy is kept
    beside what is trained.
  moments, reference_bytes: bytes a parameter that Adam's two moments and the reference take; no
    bytes where the reference is what adapters are added to.
  rank, targets: of low-rank adapters; rank 0 trains all parameters.
  on_host: whether the reference is sent to the device for its pass alone.
  """

  P: int
  S: int
  G: int
  T: int
  fed: int
  headed: int
  decoded: int = 0
  later: tuple[tuple[int, int], ...] = ()
  updates: int = 1
  minibatches: int = 1
  micro_batches: int = 1
  old: bool = False
  reference: bool = False
  critic: str = ""
  judges: int = 0
  beside: bool = False
  moments: int = 8
  reference_bytes: int = 4
  on_host: bool = False
  rank: int = 0
  targets: tuple[str, ...] = ()

  @property
  def tokens(self) -> int:
    """Tokens of a row that pass through the layers: S + G fed, the prompt once for its group."""
    return self.S + self.G * self.fed

  @property
  def pairs(self) -> int:
    """Scores of a row and query head that are computed, the masked ones of a block included."""
    return causal_pairs(self.S) + self.G * (causal_pairs(self.fed) + self.fed * self.S)

  @property
  def later_turns(self) -> list["Work"]:
    """The rollouts of later turns: of each episode one answer to a prompt of its own."""
    return [
      dataclasses.replace(self, P=self.P * self.G, G=1, S=S, T=T, decoded=T, later=())
      for S, T in self.later
    ]

  @property
  def parts(self) -> int:
    """Parts of P, one at a time in memory."""
    return self.minibatches * self.micro_batches


def causal_pairs(length: int) -> int:
  """Scores that `causal_attention` computes for `length` queries: whole blocks, up to a span's end.

  length^2 up to one block; spans of blocks, each with the keys up to its end, above it.
  """
  if length <= _BLOCK:
    return length * length
  blocks = -(-length // _BLOCK)
  per_span = max(-(-blocks // _MOST_SPANS), 2)
  ends = [(first, min(first + per_span, blocks)) for first in range(0, blocks, per_span)]
  return sum((last - first) * _BLOCK * min(last * _BLOCK, length) for first, last in ends)


def stage_work(stage: Stage, prompt_length: int, decoded: int | None = None) -> Work:
  """The sizes of a stage.

  Args:
    stage: of any kind.
    prompt_length: S, tokens of the longest prompt.
    decoded: decode steps that a rollout is expected to take, of all turns; as many as it may be by
      default.

  Raises:
    ConfigError: decoded is more than that.
  """
  micro = stage.optimizer.micro_batches
  moments = 4 + _BYTES[stage.optimizer.first_moment]
  lora: dict[str, Any] = {"rank": stage.lora.rank, "targets": stage.lora.targets}
  if isinstance(stage, GRPO):
    return _sampled(stage, prompt_length, decoded)
  if isinstance(stage, RewardModel):  # two answers, each read to its end
    T = stage.max_tokens
    sizes = (stage.batch_size, prompt_length, 2, T)
    return Work(*sizes, fed=T, headed=0, micro_batches=micro, beside=True, moments=moments)
  if isinstance(stage, SFT):
    sizes = (stage.batch_size, prompt_length, 1, stage.max_tokens)
    fed, headed = stage.max_tokens - 1, stage.max_tokens
    return Work(*sizes, fed=fed, headed=headed, micro_batches=micro, moments=moments, **lora)
  assert isinstance(stage, Pretrain), stage
  sizes, headed = (stage.batch_size, stage.length, 0, 0), stage.length - 1
  return Work(*sizes, fed=0, headed=headed, micro_batches=micro, moments=moments, **lora)


def _sampled(stage: GRPO, S: int, decoded: int | None) -> Work:
  sizes, loss, T = stage.rollout, stage.loss, stage.rollout.total_tokens
  most = sizes.own_tokens
  if decoded is not None and not 1 <= decoded <= most:
    raise ConfigError(
      f"--answer_tokens={decoded}: {sizes.own_name('rollout.')}={most} is the most, and 1 least"
    )
  own = stage.lora.rank > 0 and stage.switch.reference == "fresh"
  return Work(
    sizes.prompts,
    S,
    sizes.group_size,
    T,
    fed=T - 1,
    headed=sizes.group_size * T,
    decoded=decoded or most,
    later=_later(sizes, S),
    updates=stage.minibatches * stage.epochs,
    minibatches=stage.minibatches,
    micro_batches=stage.optimizer.micro_batches,
    old=stage.needs_old or loss.entropy_top < 1,
    reference=loss.kl_coefficient > 0,
    critic=stage.critic if isinstance(stage, PPO) else "",
    moments=4 + _BYTES[stage.optimizer.first_moment],
    reference_bytes=0 if own else _BYTES[stage.reference_dtype],
    on_host=stage.reference_place == "host",
    judges=sum(name.startswith(("stage:", "model:")) for name in stage.rewards),
    rank=stage.lora.rank,
    targets=stage.lora.targets,
  )


def evaluation_work(evaluation: Evaluation, prompt_length: int) -> Work:
  """The greedy answers to one batch of held-out problems."""
  P, T = min(evaluation.batch_size, evaluation.problems), evaluation.total_tokens
  sizes = {"decoded": evaluation.own_tokens, "later": _later(evaluation, prompt_length)}
  return Work(P, prompt_length, 1, T, fed=T - 1, headed=T, **sizes)  # type: ignore[arg-type]


def _later(sizes: Turns, S: int) -> tuple[tuple[int, int], ...]:
  return tuple((sizes.prompt_tokens(S, n), sizes.max_tokens) for n in range(1, sizes.turns))
