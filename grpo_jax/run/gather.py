"""The answers of a step: which prompts are asked, and which groups the update gets."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from grpo_jax.config import GRPO
from grpo_jax.run.answers import Answers, joined
from grpo_jax.run.levels import Levels
from grpo_jax.run.retire import Solved
from grpo_jax.run.sampler import make_sampler
from grpo_jax.run.stage import Setting
from grpo_jax.types import Params


def make_gather(
  setting: Setting, stage: GRPO, past: Iterable[Mapping[str, Any]] = ()
) -> Callable[[Params, int], tuple[Answers, np.ndarray]]:
  """Builds (parameters, step) -> all answers of the step, and the P rows that the update gets.

  Args:
    setting, stage: the run and its stage.
    past: records of samples.jsonl of this stage's earlier steps, for selection.retire_at and for
      the levels of curricula.
  """
  sample, P = make_sampler(setting, stage), stage.rollout.prompts
  rounds = stage.selection.rounds if stage.selection.no_signal == "refill" else 1
  records = list(past) if stage.selection.retire_at or setting.task.ladders else []
  solved = Solved(stage.selection.retire_at, records)
  levels = Levels(setting.task.ladders, records)
  judge = setting.experiment.evaluation.reward

  def gather(params: Params, step: int) -> tuple[Answers, np.ndarray]:
    examples = solved.choose(setting, levels.task(setting.task), step, P * rounds)
    answers: Answers | None = None
    for first in range(0, P * rounds, P):
      more = sample(params, step, examples, first)
      answers = more if answers is None else joined(answers, more)
      if answers.signal(gdpo=stage.shaping.gdpo).sum() >= P:
        break
    assert answers is not None
    solved.note(answers)
    levels.note(answers, judge)
    # Those with signal first, each kind in the order in which it was sampled.
    useless = ~answers.signal(gdpo=stage.shaping.gdpo)
    return answers, np.argsort(useless, kind="stable")[:P] if rounds > 1 else np.arange(P)

  return gather
