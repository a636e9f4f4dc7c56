"""Greedy answers to held-out problems."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from grpo_jax.config import Evaluation
from grpo_jax.rewards import EPISODE, LearnedReward, is_learned, score
from grpo_jax.rollout import RolloutFn, make_rollout
from grpo_jax.run.batches import own_texts, prompt_batch
from grpo_jax.run.episodes import Played, make_player
from grpo_jax.run.keys import prompt_keys, seeded
from grpo_jax.run.stage import Setting
from grpo_jax.tasks import Example
from grpo_jax.types import Params

# What every policy is told of, beside config.scores.
EVALUATED = tuple(
  f"eval/{name}" for name in ("accuracy", "unscored", "problems", "length", "truncated")
)
# (replicated parameters, learned rewards by name) -> figures
Evaluate = Callable[[Params, Mapping[str, LearnedReward]], dict[str, float]]


def greedy_rollout(setting: Setting) -> RolloutFn:
  """One greedy answer to each prompt, or of an episode one turn."""
  return make_rollout(
    setting.network,
    group_size=1,
    max_tokens=setting.experiment.evaluation.max_tokens,
    stop_ids=setting.tokenizer.stop_ids,
    temperature=0.0,
  )


def make_evaluate(setting: Setting, examples: Sequence[Example]) -> Evaluate:
  """Builds (params, models) -> eval/accuracy, the share of examples whose greedy answer scores 1.

  Of a mixture also eval/NAME/accuracy of each task.
  Also eval/NAME, the mean of each of config.scores over the answers that it can score, those of
  learned rewards where `models` has them;
  eval/problems, eval/length (tokens), eval/truncated (share cut by max_tokens) and eval/unscored
  (share that the reward could not score, counted as wrong). Where the task is an environment, the
  examples are played.

  Raises, when it is called:
    RuntimeError: the reward could score none of the answers.
  """
  config, devices = setting.experiment.evaluation, setting.devices
  tokenizer = setting.tokenizer
  room = setting.network.architecture.context_length - config.total_tokens
  greedy = devices.program(lambda _: seeded(greedy_rollout(setting)), config, name="evaluation")
  play = None
  if setting.task.reset is not None:
    play = make_player(setting, config, 1, greedy, greedy)
  # One shape for all parts, and a multiple of the devices.
  size = -(-min(config.batch_size, len(examples)) // devices.count) * devices.count
  parts = [examples[start : start + size] for start in range(0, len(examples), size)]
  longest = prompt_batch(tokenizer, examples, room=room).tokens.shape[1]
  batches = [prompt_batch(tokenizer, part, room=room, rows=size, width=longest) for part in parts]
  keys = prompt_keys(0, 0, 0, size)  # greedy: never used

  def evaluate(params: Params, models: Mapping[str, LearnedReward]) -> dict[str, float]:
    rollouts: list[tuple[np.ndarray, ...]] = []
    played: list[Played] = []
    learned: dict[str, list[float]] = {name: [] for name in models}
    for part, prompts in zip(parts, batches, strict=True):
      setting.pause("evaluation")
      if play is not None:
        filled = [*part, *([part[-1]] * (size - len(part)))]
        played.append(play(params, prompts, keys, filled))
        answers: Any = played[-1].rollout
      else:
        answers = devices.join(greedy(params, devices.split(prompts), devices.split(keys)))
      for name, model in models.items():
        learned[name] += model(answers)[: len(part), 0].tolist()
      rollouts.append(
        tuple(
          np.asarray(leaf)[: len(part)] for leaf in (answers.tokens, answers.mask, answers.finished)
        )
      )
    tokens, mask, finished = map(np.concatenate, zip(*rollouts, strict=True))
    if play is None:
      texts, given = own_texts(tokenizer, tokens, mask), {}
    else:
      texts = [text for one in played for text in one.texts][: len(examples)]
      rewards = np.concatenate([one.episodes.rewards for one in played])
      given = {EPISODE: rewards[: len(examples)]}
    return _scored(setting, examples, texts, given, learned) | {
      "eval/problems": float(len(examples)),
      "eval/length": float(mask.sum(axis=(1, 2)).mean()),
      "eval/truncated": 1.0 - float(finished[:, 0].mean()),
    }

  return evaluate


def by_task(examples: Sequence[Example], scores: np.ndarray) -> dict[str, float]:
  """eval/NAME/accuracy of each task of a mixture, of scores f32[N,1]."""
  names = dict.fromkeys(example.task for example in examples if example.task)
  rows = {name: [example.task == name for example in examples] for name in names}
  return {f"eval/{name}/accuracy": float(np.mean(scores[own] >= 1)) for name, own in rows.items()}


def _scored(
  setting: Setting,
  examples: Sequence[Example],
  texts: list[list[str]],
  given: Mapping[str, np.ndarray],
  learned: Mapping[str, list[float]],
) -> dict[str, float]:
  """eval/accuracy, eval/unscored, and the means of config.scores."""
  config: Evaluation = setting.experiment.evaluation
  questions = [example.question for example in examples]
  fields = [example.fields for example in examples]
  names = [example.reward or setting.task.reward for example in examples]
  own = functools.partial(score, given=given, workers=setting.workers, own=names)
  scores = own({config.reward: 1.0}, questions, texts, fields).total
  ruled = [name for name in config.scores if not is_learned(name)]
  means = {name: _mean(own({name: 1.0}, questions, texts, fields).total) for name in ruled}
  means |= {name: _mean(np.array(values)) for name, values in learned.items()}
  if np.isnan(scores).all():
    raise RuntimeError(
      f"config.evaluation.reward={config.reward!r} could score none of {len(examples)} held-out"
      f" answers (NaN), the first to {questions[0][:60]!r}: does it fit the task's answers?"
    )
  return (
    {f"eval/{name}": mean for name, mean in means.items()}
    | by_task(examples, scores)
    | {
      "eval/accuracy": float(np.mean(scores >= 1)),
      "eval/unscored": float(np.isnan(scores).mean()),
    }
  )


def _mean(scores: np.ndarray) -> float:
  """Of those that are scored; NaN where none is."""
  known = scores[~np.isnan(scores)]
  return float(known.mean()) if known.size else float("nan")
