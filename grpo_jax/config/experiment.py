"""The experiment: one model, one task, its stages in order, and what surrounds them."""

import dataclasses
import itertools

from grpo_jax.config.fields import Config, field
from grpo_jax.config.model import Model
from grpo_jax.config.parallel import Parallel
from grpo_jax.config.population import Population
from grpo_jax.config.ppo import PPO
from grpo_jax.config.reward_model import RewardModel
from grpo_jax.config.samples import Samples
from grpo_jax.config.scoring import Scoring
from grpo_jax.config.stage import Stage
from grpo_jax.config.stages import GRPO
from grpo_jax.config.task import Task
from grpo_jax.config.turns import Turns


@dataclasses.dataclass(kw_only=True)
class Evaluation(Turns):
  """Greedy answers to held-out problems, before, during and after each stage.

  every: steps between evaluations; 0 evaluates before and after only.
  reward: the reward whose full score counts as a right answer.
  scores: names of rewards whose means are told beside it, as eval/NAME, over what they can score.
  max_tokens, turns, observation_tokens: as of `Turns`. batch_size: problems answered at one time.
  """

  problems: int = field(200, least=1)
  every: int = field(0, least=0)
  reward: str = "number"
  scores: tuple[str, ...] = ()
  batch_size: int = field(100, least=1)


@dataclasses.dataclass(kw_only=True)
class Checkpoint(Config):
  """every: steps between checkpoints.

  The newest `keep`, the last of each stage and the best by held-out score stay.
  """

  every: int = field(20, least=1)
  keep: int = field(2, least=1)


@dataclasses.dataclass(kw_only=True)
class Experiment(Config):
  """All of one run. stages: a plain dict, run in its order."""

  seed: int = field(0, least=0, most=2**31 - 1)
  model: Model
  task: Task
  evaluation: Evaluation = field(Evaluation)
  parallel: Parallel = field(Parallel)
  checkpoint: Checkpoint = field(Checkpoint)
  population: Population = field(Population)
  scoring: Scoring = field(Scoring)
  samples: Samples = field(Samples)
  stages: dict[str, Stage]

  def contradictions(self) -> list[str]:
    problems = [] if self.stages else ["stages is empty: name at least one"]
    longest = {f"stages.{name}": stage.longest[0] for name, stage in self.stages.items()}
    longest["evaluation"] = self.evaluation.total_tokens
    if self.model.architecture is not None:
      context = self.model.architecture.context_length
      problems += [
        f"{name} allows answers of {tokens} tokens; the model's context_length is {context}, with"
        " the prompt"
        for name, tokens in longest.items()
        if tokens >= context
      ]
    problems += self._program_problems() + self._switch_problems()
    return problems + self._staleness_problems()

  def _staleness_problems(self) -> list[str]:
    """Where answers cannot be sampled beside updates."""
    stale = [n for n, stage in self.stages.items() if isinstance(stage, GRPO) and stage.staleness]
    sampling, mode = self.parallel.sampling, self.parallel.mode
    if sampling and not stale:
      return [f"parallel.sampling={sampling} needs a stage with staleness of 1 or more"]
    if stale and mode != "single" and not sampling:
      return [
        f"stages.{stale[0]}.staleness with parallel.mode={mode!r} needs devices of its own to"
        " sample with: mode 'mesh' and parallel.sampling (in 'single' one device may do both)"
      ]
    if stale and self.population.size > 1:
      return [f"stages.{stale[0]}.staleness in a population, whose members wait for each other"]
    return []

  def _switch_problems(self) -> list[str]:
    """What a stage would keep, where there is nothing to keep."""
    problems, referring = [], False
    for index, (name, stage) in enumerate(self.stages.items()):
      path = f"stages.{name}.switch"
      own = isinstance(stage, GRPO) and stage.loss.kl_coefficient > 0
      if stage.switch.moments == "keep":
        problems += [f"{path}.moments='keep' {line}" for line in self._moments_problems(index)]
      if (stage.stop.held or stage.stop.patience) and not self.evaluation.every:
        problems.append(f"stages.{name}.stop has a rule, and evaluation.every=0: it is never asked")
      if stage.switch.reference == "keep" and not (own and referring):
        problems.append(
          f"{path}.reference='keep' needs loss.kl_coefficient above 0 here and in a stage before"
        )
      referring |= own
    return problems

  def steps_before(self) -> dict[str, int]:
    """Steps of all stages before each, by its name."""
    ends = itertools.accumulate(stage.steps for stage in self.stages.values())
    return dict(zip(self.stages, (0, *ends), strict=False))

  def _moments_problems(self, index: int) -> list[str]:
    """Why the optimiser's state of the stage before `index` cannot go on."""
    if index == 0:
      return ["in the first stage, which has none before it"]
    stages = list(self.stages.values())
    before, own = stages[index - 1], stages[index]
    if isinstance(before, RewardModel) or isinstance(own, RewardModel):
      return ["beside a reward model, which has parameters of its own"]
    if isinstance(before, PPO) or isinstance(own, PPO):
      return ["beside a stage of PPO, whose critic begins anew"]
    if before.lora.rank or own.lora.rank:
      return ["beside low-rank adapters, which begin anew with each stage"]
    if before.stop.patience:
      return ["after stop.patience: the policy of the best evaluation has the moments of another"]
    return []

  def _program_problems(self) -> list[str]:
    """Programs of several steps end where something is done between them, on one device."""
    problems = []
    every = {"evaluation.every": self.evaluation.every, "checkpoint.every": self.checkpoint.every}
    for name, stage in self.stages.items():
      count = stage.steps_per_program if isinstance(stage, GRPO) else 1
      asked = f"stages.{name}.steps_per_program={count}"
      problems += [
        f"{field}={steps} is not divisible by {asked}"
        for field, steps in every.items()
        if steps % count
      ]
      if count > 1 and self.parallel.mode != "single":
        problems.append(f"{asked} needs parallel.mode='single', not {self.parallel.mode!r}")
    return problems
