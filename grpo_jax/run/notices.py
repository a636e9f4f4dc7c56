"""What a person should know of a stage's settings, though they can be run."""

from grpo_jax.config import GRPO, LossConfig, Rollout

_BOUNDS = ("clip_low", "clip_high", "dual_clip", "ratio_floor", "ratio_cap")


def notices(stage: GRPO) -> list[str]:
  """One line each, of the settings that do less or more than they seem to."""
  found = (_filters(stage), _on_policy(stage), _gdpo(stage))
  return [notice for notice in found if notice]


def _filters(stage: GRPO) -> str | None:
  """The trainer's log-probs are of the whole softmax, whatever the sampler left out of it."""
  on = _changed(stage.rollout, Rollout(), ("top_k", "top_p", "min_p"))
  if not on or stage.loss.sampler_correction != "none":
    return None
  return (
    f"{', '.join(on)} while training: answers come from a narrower distribution than the policy"
    " that is updated: loss.sampler_correction accounts for it, mismatch/* shows it"
  )


def _on_policy(stage: GRPO) -> str | None:
  """At ratio 1 all objectives have the gradient of REINFORCE, and no bound is reached."""
  chosen = _changed(stage.loss, LossConfig(), ("objective", *_BOUNDS))
  if stage.minibatches * stage.epochs > 1 or not chosen:
    return None
  return (
    f"{', '.join(chosen)} with one update a rollout: every ratio is 1, where all objectives are the"
    " same and nothing is cut; minibatches or epochs above 1 make them differ"
  )


def _gdpo(stage: GRPO) -> str | None:
  """Several rewards are what it is for."""
  if not stage.shaping.gdpo or len(stage.rewards) > 1:
    return None
  return (
    f"shaping.gdpo with the one reward {next(iter(stage.rewards))!r}: there is nothing to balance,"
    " and its advantages are normalised over the batch once more"
  )


def _changed(config: object, plain: object, names: tuple[str, ...]) -> list[str]:
  values = {name: getattr(config, name) for name in names}
  return [f"{name}={value}" for name, value in values.items() if value != getattr(plain, name)]
