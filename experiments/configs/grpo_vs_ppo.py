r"""GRPO, PPO with a critic, RLOO and REINFORCE, with the same answers a step: do the claims hold?

make claims  # every algorithm, tiny and SmolLM2: tables of memory, speed, learning, variance

python -m experiments.train --config=experiments/configs/grpo_vs_ppo.py:grpo-8 --workdir=runs/g8

`ALGORITHM-G`: G answers to each of 256 / G prompts, from the warm start that all share.
`smollm2-ALGORITHM`: four steps of SmolLM2-135M on 4 prompts x 8 answers, for memory and speed.
"""

from experiments.configs import smollm2_addition, variants
from grpo_jax import config

WARM_START = "runs/claims/warm_start"
ALGORITHMS = ("grpo", "rloo", "reinforce", "ppo_separate", "ppo_shared")
GROUPS = (2, 4, 8, 16)
_ANSWERS = 256


def get_config(name: str = "grpo-8") -> config.Experiment:
  """See the top of this file; "warm_start" is what all begin with."""
  if name == "warm_start":
    return variants.get_config("warm_start")
  if name.startswith("smollm2-"):
    return _smollm2(name.removeprefix("smollm2-"))
  algorithm, _, group = name.partition("-")
  if algorithm not in ALGORITHMS or group not in map(str, GROUPS):
    raise config.ConfigError(
      f"{name!r}: expected ALGORITHM-G with one of {', '.join(ALGORITHMS)} and G of"
      f" {', '.join(map(str, GROUPS))}, or smollm2-ALGORITHM"
    )
  experiment = variants.get_config("grpo")
  experiment.model = config.Model(weights=f"{WARM_START}/model", remat=False, unroll=0)
  sizes = config.Rollout(prompts=_ANSWERS // int(group), group_size=int(group), max_tokens=4)
  optimizer = config.Optimizer(lr=2e-4, min_lr=2e-5, warmup_steps=10)
  experiment.stages = {"rl": stage(algorithm, sizes, optimizer, steps=150)}
  return experiment


def stage(
  algorithm: str, sizes: config.Rollout, optimizer: config.Optimizer, steps: int
) -> config.GRPO:
  """One algorithm; rollout, rewards and policy optimiser are those of all."""
  if algorithm.startswith("ppo"):
    ppo = config.PPO(steps=steps, rollout=sizes, optimizer=optimizer)
    ppo.critic = algorithm.removeprefix("ppo_")
    if ppo.critic == "separate":
      ppo.critic_warmup = min(10, steps - 1)
      ppo.critic_optimizer = config.Optimizer(lr=5 * optimizer.lr, min_lr=5 * optimizer.min_lr)
    return ppo
  presets = {"grpo": "grpo", "rloo": "rloo", "reinforce": "reinforce_pp"}
  return config.GRPO(
    steps=steps, rollout=sizes, optimizer=optimizer, **config.preset(presets[algorithm])
  )


def _smollm2(algorithm: str) -> config.Experiment:
  if algorithm not in ALGORITHMS:
    raise config.ConfigError(f"no algorithm {algorithm!r}: known are {', '.join(ALGORITHMS)}")
  experiment = smollm2_addition.get_config()
  experiment.evaluation.problems, experiment.evaluation.batch_size = 8, 8
  experiment.checkpoint.every = 1000
  sizes = config.Rollout(prompts=4, group_size=8, max_tokens=12)
  optimizer = config.Optimizer(lr=2e-6, min_lr=2e-7)
  experiment.stages = {"rl": stage(algorithm, sizes, optimizer, steps=4)}
  return experiment
