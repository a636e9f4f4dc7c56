"""Every field's range, from a table written by hand: a new field fails until it has its row."""

import dataclasses
import math

import pytest

from grpo_jax import config
from tests.config.helpers import experiment, refused

# (accepted values at or near the bounds, refused values next to the bounds).
_COUNT = ([1, 10**6], [0, -1])
_COUNT_OR_OFF = ([0, 1, 10**6], [-1])
_FRACTION_BELOW_1 = ([0.0, 0.5, 0.999], [-1e-9, 1.0])
_NOT_NEGATIVE = ([0.0, 1e-12, 5.0], [-1e-9])
_POSITIVE = ([1e-12, 5.0], [0.0, -1e-9])
_STAGE = {"steps": _COUNT, "max_nonfinite": _COUNT}
_ROWS = {**_STAGE, "batch_size": _COUNT, "held_out": _COUNT}
_TURNS = {"max_tokens": _COUNT, "turns": _COUNT, "observation_tokens": _COUNT_OR_OFF}

_FILES = {
  "held_out_share": ([1e-6, 0.05, 0.999], [0.0, 1.0]),
  "on_bad_row": (["fail", "skip"], ["ignore", ""]),
}

RANGES = {
  config.Grouping: {
    "baseline": (["mean", "leave_one_out", "length_weighted", "none"], ["median", ""]),
    "scale": (["group_std", "batch_std", "batch_reward_std", "none"], ["std", ""]),
    "ddof": ([0, 1], [-1, 2]),
    "eps": _NOT_NEGATIVE,
  },
  config.LossConfig: {
    "objective": (["ppo_clip", "gmpo", "sapo", "reinforce"], ["ppo", ""]),
    "clip_low": ([1e-4, 0.2, 0.999], [0.0, 1.0, -0.2]),
    "clip_high": ([1e-4, 0.28, 5.0], [0.0, -0.2]),
    "dual_clip": ([0.0, 1.001, 3.0], [-1.0, 0.5, 1.0]),
    "aggregation": (
      ["token_mean", "sequence_mean", "constant", "sequence_sum", "prompt_mean"],
      ["mean", ""],
    ),
    "ratio_floor": ([0.0, 0.2, 1.0], [-1e-9, 1.001]),
    "ratio_cap": ([1.0, 5.0], [-1.0, 0.2]),
    "tau_positive": _POSITIVE,
    "tau_negative": _POSITIVE,
    "kl_coefficient": _NOT_NEGATIVE,
    "kl_estimator": (["k1", "k2", "k3"], ["k4", "kl"]),
    "kl_place": (["loss", "reward", "returns"], ["advantage", ""]),
    "entropy_coefficient": ([-0.1, 0.0, 0.1], []),
    "entropy_top": ([1e-6, 0.2, 1.0], [0.0, 1.001]),
    "sampler_correction": (["none", "truncate", "icepop", "sequence_mask"], ["clip", ""]),
    "sampler_floor": ([0.0, 0.5, 1.0], [-1e-9, 1.001]),
    "sampler_cap": _POSITIVE,
    "sampler_sequence_cap": _POSITIVE,
  },
  config.Shaping: {"overlong_buffer": _COUNT_OR_OFF},
  config.Selection: {
    "no_signal": (["keep", "drop", "refill"], ["resample", ""]),
    "rounds": ([2, 4, 100], [1, 0]),
    "retire_at": ([0.0, 0.9, 1.0], [-1e-9, 1.001]),
  },
  config.Architecture: {
    "vocab_size": _COUNT_OR_OFF,
    "hidden_size": _COUNT,
    "layers": _COUNT,
    "heads": ([4, 400], [0, -4]),
    "kv_heads": ([1, 2, 4], [0, -1]),
    "head_size": ([2, 128], [1, 0]),
    "ffn_size": _COUNT,
    "context_length": ([2, 10**6], [1, 0]),
    "rope_theta": _POSITIVE,
    "norm_eps": _POSITIVE,
    "sliding_window": _COUNT_OR_OFF,
    "global_every": ([0, 2, 10**6], [-1]),
    "window_rope_theta": ([0.0, 1e-12, 5.0], [-1e-9]),
    "no_rope_every": _COUNT_OR_OFF,
    "score_size": _COUNT_OR_OFF,
    "activation": (["silu", "gelu_tanh"], ["gelu", "relu", ""]),
  },
  config.RopeScaling: {
    "factor": ([1.0, 8.0], [0.999, 0.0]),
    "low_freq_factor": ([1e-6, 1.0], [0.0, -1.0]),
    "high_freq_factor": ([1.5, 4.0], [0.0, -1.0]),
    "original_context_length": _COUNT,
  },
  config.Texts: _FILES,
  config.Preferences: _FILES,
  config.Model: {
    "tokenizer": (["characters"], ["words", ""]),
    "dtype": (["float32", "bfloat16", "float16"], ["float64", "int8"]),
    "unroll": _COUNT_OR_OFF,
    "logprob_chunk": _COUNT,
    "compactions": ([0, 1, 8], [-1, 9]),
    "attention": (["auto", "blocks"], ["flash", ""]),
  },
  config.Optimizer: {
    "lr": ([1e-6, 1.0], [0.0, -1e-5]),
    "min_lr": ([0.0, 1e-5], [-1e-9]),
    "schedule": (["cosine", "linear", "warmup_stable_decay"], ["cos", ""]),
    "warmup_steps": _COUNT_OR_OFF,
    "decay_steps": _COUNT_OR_OFF,
    "stable_steps": ([0], [-1]),
    "beta1": _FRACTION_BELOW_1,
    "beta2": _FRACTION_BELOW_1,
    "eps": _POSITIVE,
    "weight_decay": _NOT_NEGATIVE,
    "max_grad_norm": _NOT_NEGATIVE,
    "first_moment": (["float32", "bfloat16"], ["float16", ""]),
    "micro_batches": _COUNT,
    "spike_sigma": _NOT_NEGATIVE,
    "spike_window": ([4, 1000], [3, 0]),
  },
  config.Rollout: {
    "prompts": _COUNT,
    "group_size": _COUNT,
    **_TURNS,
    "temperature": _NOT_NEGATIVE,
    "top_k": _COUNT_OR_OFF,
    "top_p": ([1e-6, 0.9, 1.0], [0.0, 1.001, -0.1]),
    "min_p": _FRACTION_BELOW_1,
  },
  config.Stop: {"held": _COUNT_OR_OFF, "patience": _COUNT_OR_OFF, "score": ([-1.0, 0.5], [])},
  config.Population: {"size": _COUNT, "devices": ([0, 1, 2], [-1]), "together": ([0, 1, 2], [-1])},
  config.LoRA: {"rank": ([0, 1, 64], [-1]), "alpha": _POSITIVE},
  config.Switch: {
    "moments": (["fresh", "keep"], ["reset", ""]),
    "reference": (["fresh", "keep"], ["none", ""]),
  },
  config.Term: {
    "weight": ([-1.0, 0.0, 2.0], []),
    "schedule": (["constant", "step"], ["exponential", ""]),
    "end_weight": ([-1.0, 0.0, 2.0], []),
    "start": _COUNT_OR_OFF,
    "end": ([0], [-1]),
    "gate_how": (["met", "multiply"], ["and", ""]),
    "gate_at": ([-1.0, 0.5], []),
    "unscored": (["drop", "zero"], ["nan", ""]),
  },
  config.SFT: {**_STAGE, "batch_size": _COUNT, "max_tokens": _COUNT},
  config.Pretrain: {**_ROWS, "length": ([2, 10**6], [1, 0])},
  config.ChatSFT: {**_ROWS, "length": ([2, 10**6], [1, 0])},
  config.GRPO: {
    **_STAGE,
    "minibatches": ([1, 2, 8], [0, -1]),
    "epochs": _COUNT,
    "staleness": _COUNT_OR_OFF,
    "steps_per_program": ([1, 2, 100], [0, -1]),
    "reference_dtype": (["float32", "bfloat16"], ["int8", ""]),
    "reference_place": (["device", "host"], ["disk", ""]),
  },
  config.Addition: {
    "padded": ([0.0, 0.5, 1.0], [-0.1, 1.1]),
    "low": ([0, 98], [-1]),
    "high": ([11, 10**6], [0, -1]),
  },
  config.Questions: _FILES,
  config.Choices: _FILES,
  config.Programs: _FILES,
  config.Countdown: {
    "numbers": ([2, 4, 8], [1, 9]),
    "low": ([1, 24], [0, -1]),
    "high": ([2, 10**6], [1, 0]),
    "most": _COUNT,
  },
  config.OwnTask: {"held_out": _COUNT},
  config.Curriculum: {
    "start": ([0, 1], [-1, 2]),
    "window": _COUNT,
    "up": ([1e-6, 0.8, 1.0], [0.0, 1.001]),
    "down": ([0.0, 0.5], [-1e-9, 1.0]),
  },
  config.Assistant: {
    "helpful": _NOT_NEGATIVE,
    "safe": _NOT_NEGATIVE,
    "honest": _NOT_NEGATIVE,
    "flawed": ([0.0, 1.0], [-0.1, 1.1]),
    "noise": ([0.0, 1.0], [-0.1, 1.1]),
    "length_bias": ([0.0, 1.0], [-0.1, 1.1]),
  },
  config.Guess: {
    "low": ([0, 14], [-1]),
    "high": ([2, 10**6], [0, -1]),
    "discount": ([1e-6, 0.9, 1.0], [0.0, 1.1]),
    "clumsy": ([0.0, 0.5, 1.0], [-0.1, 1.1]),
    "shown": _COUNT,
  },
  config.Calculator: {
    "low": ([0, 98], [-1]),
    "high": ([11, 10**6], [0, -1]),
    "called": ([0.0, 0.5, 1.0], [-0.1, 1.1]),
  },
  config.RewardModel: {
    **_STAGE,
    "batch_size": _COUNT,
    "max_tokens": _COUNT,
    "held_out_pairs": ([2, 100], [1, 0]),
    "margin": _NOT_NEGATIVE,
    "centering": _NOT_NEGATIVE,
  },
  config.PPO: {
    **_STAGE,
    "minibatches": ([1, 2, 8], [0, -1]),
    "epochs": _COUNT,
    "staleness": _COUNT_OR_OFF,
    "steps_per_program": ([1], [0, -1]),
    "reference_dtype": (["float32", "bfloat16"], ["int8", ""]),
    "reference_place": (["device", "host"], ["disk", ""]),
    "critic": (["separate", "shared"], ["none", ""]),
    "gamma": ([0.5, 1.0], [0.0, 1.1]),
    "lam": ([0.0, 0.95, 1.0], [-0.1, 1.1]),
    "value_clip": _NOT_NEGATIVE,
    "value_coefficient": _POSITIVE,
    "critic_warmup": ([0, 99], [-1]),
  },
  config.Evaluation: {
    "problems": _COUNT,
    "every": _COUNT_OR_OFF,
    **_TURNS,
    "batch_size": _COUNT,
  },
  config.Checkpoint: {"every": _COUNT, "keep": _COUNT},
  config.Samples: {"token_prompts": _COUNT_OR_OFF},
  config.Scoring: {
    "workers": _COUNT_OR_OFF,
    "timeout_s": _POSITIVE,
    "memory_gb": ([0.0, 2.0, 64.0], [-0.5]),
    "max_failed": ([0.0, 0.1, 1.0], [-0.1, 1.1]),
  },
  config.Parallel: {
    "mode": (["single", "pmap", "mesh"], ["multi", ""]),
    "data": _COUNT_OR_OFF,
    "fsdp": _COUNT,
    "tensor": _COUNT,
    "sampling": _COUNT_OR_OFF,
  },
  config.Experiment: {"seed": ([0, 1, 2**31 - 1], [-1, 2**31])},
}

# What must stand beside the field under test, so that nothing else is wrong.
_BESIDE = {
  config.Model: {"tokenizer": "characters", "architecture": config.Architecture()},
  config.Optimizer: {"lr": 1.0, "min_lr": 0.0},
  config.Questions: {"train": "a.jsonl"},
  config.Choices: {"train": "a.jsonl"},
  config.Programs: {"train": "a.jsonl"},
  config.Texts: {"train": "a.jsonl"},
  config.Preferences: {"train": "a.jsonl"},
  config.OwnTask: {"file": "a.py"},
  config.Curriculum: {"task": config.Addition(), "levels": {"high": (20, 99)}},
  config.ChatSFT: {"texts": config.Texts(train="a.jsonl", held_out="b.jsonl")},
}
_CISPO, _SAPO = {"objective": "cispo", "ratio_cap": 5.0}, {"objective": "sapo"}
_BESIDE_FIELD = {
  (config.Architecture, "global_every"): {"sliding_window": 8},
  (config.Architecture, "window_rope_theta"): {"sliding_window": 8},
  (config.Optimizer, "warmup_steps"): {"decay_steps": 10**7},
  (config.Optimizer, "spike_window"): {"spike_sigma": 6.0},
  (config.LossConfig, "ratio_floor"): _CISPO,
  (config.LossConfig, "ratio_cap"): _CISPO,
  (config.LossConfig, "tau_positive"): _SAPO,
  (config.LossConfig, "tau_negative"): _SAPO,
  (config.LossConfig, "kl_estimator"): {"kl_coefficient": 0.1},
  (config.LossConfig, "kl_place"): {"kl_coefficient": 0.1},
  (config.LossConfig, "sampler_floor"): {"sampler_correction": "icepop"},
  (config.LossConfig, "sampler_cap"): {"sampler_correction": "truncate"},
  (config.LossConfig, "sampler_sequence_cap"): {"sampler_correction": "sequence_mask"},
  (config.Term, "end_weight"): {"schedule": "step"},
  (config.Term, "start"): {"schedule": "step"},
  (config.Term, "gate_how"): {"gate": "other"},
  (config.Term, "gate_at"): {"gate": "other"},
  (config.GRPO, "reference_dtype"): {"loss": config.LossConfig(kl_coefficient=0.1)},
  (config.GRPO, "staleness"): {"loss": config.LossConfig(sampler_correction="truncate")},
  (config.PPO, "staleness"): {"loss": config.LossConfig(sampler_correction="truncate")},
  (config.GRPO, "reference_place"): {"loss": config.LossConfig(kl_coefficient=0.1)},
  (config.PPO, "reference_dtype"): {"loss": config.LossConfig(kl_coefficient=0.1)},
  (config.PPO, "reference_place"): {"loss": config.LossConfig(kl_coefficient=0.1)},
  (config.Stop, "score"): {"held": 1},
  (config.Population, "together"): {"size": 4},
  (config.Population, "devices"): {"size": 4},
  (config.LoRA, "alpha"): {"rank": 1},
  (config.Parallel, "data"): {"mode": "mesh"},
  (config.Parallel, "fsdp"): {"mode": "mesh"},
  (config.Parallel, "tensor"): {"mode": "mesh"},
  (config.Curriculum, "up"): {"down": 0.0},
  (config.Curriculum, "down"): {"up": 1.0},
  (config.Selection, "rounds"): {"no_signal": "refill"},
}
# Free text, which no range can bound.
_FREE_TEXT = {"weights", "question", "system", "train", "held_out", "answer", "answer_marker"}
_FREE_TEXT |= {"column", "name", "file", "choices", "form", "tests", "solution"}
_FREE_TEXT |= {
  "prompt",
  "chosen",
  "rejected",
  "environment",
  "reward",
  "gate",
  "figure",
}  # names that are looked up


def _made(kind, name, value):
  fields = {**_BESIDE.get(kind, {}), **_BESIDE_FIELD.get((kind, name), {}), name: value}
  if name == "turns":  # of one turn there is nothing to observe
    fields["observation_tokens"] = int(value > 1)
  if name == "observation_tokens":
    fields["turns"] = 2 if value > 0 else 1
  return experiment(**fields) if kind is config.Experiment else kind(**fields)


def _cases(index):
  for kind, fields in RANGES.items():
    for name, values in fields.items():
      for value in values[index]:
        yield pytest.param(kind, name, value, id=f"{kind.__name__}.{name}={value}")


@pytest.mark.parametrize(("kind", "name", "value"), list(_cases(0)))
def test_values_in_range_pass(kind, name, value):
  config.check(_made(kind, name, value))


@pytest.mark.parametrize(("kind", "name", "value"), list(_cases(1)))
def test_values_out_of_range_are_refused_by_name_and_value(kind, name, value):
  refused(_made(kind, name, value), name, repr(value))


def _numbers():
  for kind, fields in RANGES.items():
    for name, (accepted, _) in fields.items():
      if isinstance(accepted[0], float):
        for value in (math.nan, math.inf, -math.inf):
          yield pytest.param(kind, name, value, id=f"{kind.__name__}.{name}={value}")


@pytest.mark.parametrize(("kind", "name", "value"), list(_numbers()))
def test_no_field_is_nan_or_infinite(kind, name, value):
  refused(_made(kind, name, value), name, repr(value))


@pytest.mark.parametrize("weight", [math.nan, math.inf])
def test_no_reward_weight_is_nan_or_infinite(weight):
  refused(config.GRPO(rewards={"number": weight}), "rewards")


def test_the_table_has_every_field():
  """A field without a range is how an impossible value reaches a compiled program."""
  for name in config.__all__:
    kind = getattr(config, name)
    if not dataclasses.is_dataclass(kind) or kind in (config.AlgorithmConfig, config.Stage):
      continue
    for field in dataclasses.fields(kind):
      plain = field.type in (int, float, str, "int", "float", "str")
      if plain and field.name not in _FREE_TEXT:
        assert field.name in RANGES.get(kind, {}), f"{kind.__name__}.{field.name} has no row"
