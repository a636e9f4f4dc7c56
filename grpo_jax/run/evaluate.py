"""Greedy answers to held-out problems."""

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from grpo_jax.rewards import LearnedReward, is_learned, score
from grpo_jax.rollout import make_rollout
from grpo_jax.run.batches import own_texts, prompt_batch
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


def make_evaluate(setting: Setting, examples: Sequence[Example]) -> Evaluate:
  """Builds (params, models) -> eval/accuracy, the share of examples whose greedy answer scores 1.

  Of a mixture also eval/NAME/accuracy of each task.
  Also eval/NAME, the mean of each of config.scores over the answers that it can score, those of
  learned rewards where `models` has them;
  eval/problems, eval/length (tokens), eval/truncated (share cut by max_tokens) and eval/unscored
  (share that the reward could not score, counted as wrong).

  Raises, when it is called:
    RuntimeError: the reward could score none of the answers.
  """
  config, devices = setting.experiment.evaluation, setting.devices
  network, tokenizer = setting.network, setting.tokenizer
  room = network.architecture.context_length - config.max_tokens
  rollout = make_rollout(
    network,
    group_size=1,
    max_tokens=config.max_tokens,
    stop_ids=tokenizer.stop_ids,
    temperature=0.0,
  )
  greedy = devices.program(lambda _: seeded(rollout), config, name="evaluation")
  # One shape for all parts, and a multiple of the devices.
  size = -(-min(config.batch_size, len(examples)) // devices.count) * devices.count
  parts = [examples[start : start + size] for start in range(0, len(examples), size)]
  longest = prompt_batch(tokenizer, examples, room=room).tokens.shape[1]
  batches = [prompt_batch(tokenizer, part, room=room, rows=size, width=longest) for part in parts]
  keys = prompt_keys(0, 0, 0, size)  # greedy: never used
  questions = [example.question for example in examples]
  fields = [example.fields for example in examples]

  def evaluate(params: Params, models: Mapping[str, LearnedReward]) -> dict[str, float]:
    lengths, finished = [], []
    found: list[tuple[np.ndarray, np.ndarray]] = []
    learned: dict[str, list[float]] = {name: [] for name in models}
    for part, prompts in zip(parts, batches, strict=True):
      setting.pause("evaluation")
      answers = devices.join(greedy(params, devices.split(prompts), devices.split(keys)))
      for name, model in models.items():
        learned[name] += model(answers)[: len(part), 0].tolist()
      tokens, mask = np.asarray(answers.tokens), np.asarray(answers.mask)
      found.append((tokens[: len(part)], mask[: len(part)]))
      lengths += mask[: len(part)].sum(axis=(1, 2)).tolist()
      finished += np.asarray(answers.finished)[: len(part), 0].tolist()
    texts = own_texts(tokenizer, *map(np.concatenate, zip(*found, strict=True)))
    names = [example.reward or setting.task.reward for example in examples]
    own = functools.partial(score, workers=setting.workers, own=names)
    scores = own({config.reward: 1.0}, questions, texts, fields).total
    ruled = [name for name in config.scores if not is_learned(name)]
    means = {name: _mean(own({name: 1.0}, questions, texts, fields).total) for name in ruled}
    means |= {name: _mean(np.array(values)) for name, values in learned.items()}
    if np.isnan(scores).all():
      raise RuntimeError(
        f"config.evaluation.reward={config.reward!r} could score none of {len(examples)} held-out"
        f" answers (NaN), the first to {questions[0][:60]!r}: does it fit the task's answers?"
      )
    each = by_task(examples, scores)
    return (
      {f"eval/{name}": mean for name, mean in means.items()}
      | each
      | {
        "eval/accuracy": float(np.mean(scores >= 1)),
        "eval/unscored": float(np.isnan(scores).mean()),
        "eval/problems": float(len(examples)),
        "eval/length": float(np.mean(lengths)),
        "eval/truncated": 1.0 - float(np.mean(finished)),
      }
    )

  return evaluate


def by_task(examples: Sequence[Example], scores: np.ndarray) -> dict[str, float]:
  """eval/NAME/accuracy of each task of a mixture, of scores f32[N,1]."""
  names = dict.fromkeys(example.task for example in examples if example.task)
  rows = {name: [example.task == name for example in examples] for name in names}
  return {f"eval/{name}/accuracy": float(np.mean(scores[own] >= 1)) for name, own in rows.items()}


def _mean(scores: np.ndarray) -> float:
  """Of those that are scored; NaN where none is."""
  known = scores[~np.isnan(scores)]
  return float(known.mean()) if known.size else float("nan")
