r"""A learned reward with a flaw, optimised too far, and the run that stops in time.

make overoptimisation  # all runs, and a picture of learned reward, gold score and KL

python -m experiments.train --config=experiments/configs/overoptimisation.py:stopped \
    --workdir=runs/stopped

In a third of the preferences the longer answer wins, whatever is right: the reward model picks it
up, and a policy without a KL to hold it finds it out (Gao et al. 2023). `exploited` runs to its
end; `stopped` ends after two evaluations without a new best held-out gold score, and goes on as it
was at its best; `held` pays for its KL to where it began.
"""

from experiments.configs import assistant_pipeline
from grpo_jax import config

NAMES = ("exploited", "stopped", "held")
_LONGEST = 30  # an answer said twice


def get_config(name: str = "exploited") -> config.Experiment:
  """`name` is one of NAMES."""
  if name not in NAMES:
    raise config.ConfigError(f"no run {name!r}: known are {', '.join(NAMES)}")
  experiment = assistant_pipeline.get_config()
  experiment.task = config.Assistant(flawed=0.7, noise=0.05, length_bias=0.35)
  experiment.evaluation.every = 10
  experiment.evaluation.scores = (*experiment.evaluation.scores, "stage:reward_model")
  stages = experiment.stages
  experiment.stages = {n: stages[n] for n in ("pretrain", "sft", "reward_model")}
  for stage in experiment.stages.values():
    if isinstance(stage, config.RewardModel):
      stage.max_tokens = _LONGEST
  experiment.stages["rl"] = config.GRPO(
    steps=300,
    rollout=config.Rollout(prompts=16, group_size=8, max_tokens=_LONGEST),
    optimizer=config.Optimizer(lr=5e-4, min_lr=1e-4, warmup_steps=10),
    # The small one holds nothing: it is there to be measured.
    loss=config.LossConfig(kl_coefficient=0.5 if name == "held" else 1e-6),
    rewards={"stage:reward_model": 1.0, "gold": 0.0},
    stop=config.Stop(patience=2 if name == "stopped" else 0),
  )
  return experiment
