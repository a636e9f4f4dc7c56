r"""GRPO, PPO with a critic, RLOO and REINFORCE, with the same answers a step: do the claims hold?

make claims  # every algorithm, tiny and SmolLM2: tables of memory, speed, learning, variance

python -m experiments.train --config=experiments/configs/grpo_vs_ppo.py:grpo-8 --workdir=runs/g8

`ALGORITHM-G`: 120 rollouts of G answers to each of 1024 / G prompts, two updates each, from the
warm start that all share. `ALGORITHM-G-256`: 150 of a quarter of that, one update each.
`smollm2-ALGORITHM`: four steps of SmolLM2-135M on 4 prompts x 8 answers, for memory and speed.
`smollm2_learning-ALGORITHM`: at most thirty steps of the main job, until 0.6 held out.
"""

from experiments.configs import smollm2_addition, variants
from grpo_jax import config

WARM_START = "runs/claims/warm_start"
ALGORITHMS = ("grpo", "rloo", "reinforce", "ppo_separate", "ppo_shared")
GROUPS = (2, 4, 8, 16)
_ANSWERS, _FEW = 1024, "256"
GOAL_SMOLLM2 = 0.6
_SMOLLM2 = ("smollm2", "smollm2_learning")


def get_config(name: str = "grpo-8") -> config.Experiment:
  """See the top of this file; "warm_start" is what all begin with."""
  if name == "warm_start":
    return variants.get_config("warm_start")
  first, _, rest = name.partition("-")
  if first in _SMOLLM2:
    return _smollm2(first, rest)
  algorithm, (group, _, few) = first, rest.partition("-")
  if algorithm not in ALGORITHMS or group not in map(str, GROUPS) or few not in ("", _FEW):
    raise config.ConfigError(
      f"{name!r}: expected ALGORITHM-G or ALGORITHM-G-{_FEW}, or {', '.join(_SMOLLM2)} and"
      f" -ALGORITHM, with one of {', '.join(ALGORITHMS)} and G of {', '.join(map(str, GROUPS))}"
    )
  experiment = variants.get_config("grpo")
  experiment.model = config.Model(weights=f"{WARM_START}/model", remat=False, unroll=0)
  prompts = int(few or _ANSWERS) // int(group)
  sizes = config.Rollout(prompts=prompts, group_size=int(group), max_tokens=4)
  optimizer = config.Optimizer(lr=2e-4, min_lr=2e-5, warmup_steps=10)
  rl = stage(algorithm, sizes, optimizer, steps=150 if few else 120)
  rl.minibatches = 1 if few else 2
  experiment.stages = {"rl": rl}
  return experiment


def stage(
  algorithm: str, sizes: config.Rollout, optimizer: config.Optimizer, steps: int, warmup: int = 10
) -> config.GRPO:
  """One algorithm; rollout, rewards and policy optimiser are those of all.

  warmup: steps in which a separate critic learns alone.
  """
  if algorithm.startswith("ppo"):
    ppo = config.PPO(steps=steps, rollout=sizes, optimizer=optimizer)
    ppo.critic = algorithm.removeprefix("ppo_")
    if ppo.critic == "separate":
      ppo.critic_warmup = warmup
      ppo.critic_optimizer = config.Optimizer(lr=5 * optimizer.lr, min_lr=5 * optimizer.min_lr)
    return ppo
  presets = {"grpo": "grpo", "rloo": "rloo", "reinforce": "reinforce_pp"}
  return config.GRPO(
    steps=steps, rollout=sizes, optimizer=optimizer, **config.preset(presets[algorithm])
  )


def _smollm2(kind: str, algorithm: str) -> config.Experiment:
  """The main job's model and sums."""
  if algorithm not in ALGORITHMS:
    raise config.ConfigError(f"no algorithm {algorithm!r}: known are {', '.join(ALGORITHMS)}")
  experiment = smollm2_addition.get_config()
  experiment.checkpoint.every = 1000
  if kind == "smollm2":
    experiment.evaluation.problems, experiment.evaluation.batch_size = 8, 8
    sizes = config.Rollout(prompts=4, group_size=8, max_tokens=12)
    optimizer = config.Optimizer(lr=2e-6, min_lr=2e-7)
    experiment.stages = {"rl": stage(algorithm, sizes, optimizer, steps=4, warmup=1)}
    return experiment
  evaluation = experiment.evaluation
  evaluation.problems, evaluation.every, evaluation.batch_size = 100, 3, 100
  main = experiment.stages["grpo"]
  assert isinstance(main, config.GRPO)
  rl = stage(algorithm, main.rollout, main.optimizer, steps=30, warmup=3)
  rl.stop = config.Stop(score=GOAL_SMOLLM2, held=1)
  experiment.stages = {"rl": rl}
  return experiment
