"""Policy objectives, KL estimators and aggregation."""

from grpo_jax.losses.aggregation import AGGREGATIONS, aggregate, token_weights
from grpo_jax.losses.corrections import CORRECTIONS
from grpo_jax.losses.kl import KL_ESTIMATORS, kl_estimate
from grpo_jax.losses.objectives import OBJECTIVES
from grpo_jax.losses.policy import loss_mask, policy_loss
from grpo_jax.losses.preference import bradley_terry
from grpo_jax.losses.value import gae, value_loss

__all__ = [
  "AGGREGATIONS",
  "CORRECTIONS",
  "KL_ESTIMATORS",
  "OBJECTIVES",
  "aggregate",
  "bradley_terry",
  "gae",
  "kl_estimate",
  "loss_mask",
  "policy_loss",
  "token_weights",
  "value_loss",
]
