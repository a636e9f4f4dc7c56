"""TRL's own loss on given arrays; runs in TRL's environment, for trl_agreement.py.

python trl_losses.py IN.npz JOBS.json OUT.npz

The loss is `GRPOTrainer._compute_loss` itself, called on an object that has just the attributes it
reads: the log-probs that its model would have computed are given. The advantages are those of
`GRPOTrainer._generate_and_score_completions` (grpo_trainer.py, "sum_then_normalize" and
"normalize_then_sum"), with TRL's own nanstd.
"""

import collections
import json
import sys
import types

import numpy as np
import torch
import trl
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.utils import nanstd


def main(inputs_path: str, jobs_path: str, out_path: str) -> None:
  given = {name: torch.tensor(array) for name, array in np.load(inputs_path).items()}
  with open(jobs_path, encoding="utf-8") as file:
    jobs = json.load(file)
  results = {"version": np.array(trl.__version__)}
  for name, job in jobs.items():
    advantages = _advantages(given, job["scale_rewards"])
    loss, slope = _loss(given, advantages, job["trainer"])
    results |= {f"{name}/advantages": advantages, f"{name}/loss": loss, f"{name}/gradient": slope}
  np.savez(out_path, **{name: np.asarray(value) for name, value in results.items()})


def _advantages(given: dict, scale: str) -> torch.Tensor:
  """[P,G] -> [P,G], as TRL has it."""
  rewards = given["rewards"]
  if scale == "normalize_then_sum":
    parts = torch.stack([rewards, given["second"]], dim=-1)
    z = (parts - torch.nanmean(parts, dim=1, keepdim=True)) / (
      nanstd(parts, dim=1, keepdim=True) + 1e-4
    )
    mixed = (z * given["reward_weights"]).nansum(dim=-1)
    return (mixed - torch.nanmean(mixed)) / (nanstd(mixed) + 1e-4)
  centred = rewards - torch.nanmean(rewards, dim=1, keepdim=True)
  if scale == "none":
    return centred
  std = nanstd(rewards, dim=1, keepdim=True) if scale == "group" else nanstd(rewards)
  return centred / (std + 1e-4)


def _loss(given: dict, advantages: torch.Tensor, fields: dict) -> tuple[torch.Tensor, torch.Tensor]:
  """TRL's loss, and its gradient by log-prob [P,G,T]."""
  mask = given["mask"].float()
  flat = {name: given[name].flatten(0, 1) for name in ("logprobs", "old", "ref", "entropy")}
  logprobs = flat["logprobs"].clone().requires_grad_()
  trainer = _Trainer(fields, lambda: (logprobs, flat["entropy"], None), mask.shape[-1])
  B = mask.shape[0] * mask.shape[1]
  inputs = {
    "prompt_ids": torch.zeros(B, 1, dtype=torch.long),
    "prompt_mask": torch.ones(B, 1, dtype=torch.long),
    "completion_ids": torch.zeros(B, mask.shape[-1], dtype=torch.long),
    "completion_mask": mask.flatten(0, 1),
    "advantages": advantages.flatten(),
    "old_per_token_logps": flat["old"],
    "ref_per_token_logps": flat["ref"],
    "num_items_in_batch": mask.sum(),
  }
  loss = GRPOTrainer._compute_loss(trainer, trainer.model, inputs)
  loss.backward()
  return loss.detach(), logprobs.grad.reshape(mask.shape)


class _Trainer:
  """The attributes that _compute_loss reads; one process, no accumulation."""

  get_high_entropy_mask = GRPOTrainer.get_high_entropy_mask

  def __init__(self, fields: dict, looked_up, length: int):
    arguments = {
      "delta": None,
      "use_bias_correction_kl": False,
      "sapo_temperature_pos": 1.0,
      "sapo_temperature_neg": 1.05,
      "steps_per_generation": 1,
    }
    own = {
      "loss_type": "grpo",
      "importance_sampling_level": "token",
      "beta": 0.0,
      "epsilon_low": 0.2,
      "epsilon_high": 0.2,
      "top_entropy_quantile": 1.0,
    }
    self.args = types.SimpleNamespace(
      **{name: fields.get(name, value) for name, value in arguments.items()}
    )
    for name, value in own.items():
      setattr(self, name, fields.get(name, value))
    self._get_per_token_logps_and_entropies = lambda *_, **__: looked_up()
    self.max_completion_length = length
    self.current_gradient_accumulation_steps = 1
    self.aux_loss_enabled = self._entropy_bonus_enabled = self.use_vllm = False
    self.off_policy_mask_threshold = None
    self.model = types.SimpleNamespace(training=True)
    self._metrics = {"train": collections.defaultdict(list)}
    same = lambda values, **_: values  # noqa: E731
    self.accelerator = types.SimpleNamespace(
      num_processes=1, gather=same, reduce=same, pad_across_processes=same, sync_gradients=True
    )


if __name__ == "__main__":
  main(*sys.argv[1:])
