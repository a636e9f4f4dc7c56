"""Groups of answers, as arrays and texts, with their scores."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax.grouping import has_signal
from grpo_jax.rewards import Scores
from grpo_jax.run.episodes import Episodes
from grpo_jax.tasks import Example
from grpo_jax.types import Rollout


@dataclasses.dataclass(frozen=True)
class Answers:
  """Groups of answers to P prompts, scored.

  rollout: NumPy arrays. texts: as samples.jsonl shows them. seconds: f64[2], what sampling and
  scoring took. episodes: what became of them in the task's environment, where it is one.
  """

  examples: list[Example]
  rollout: Rollout
  texts: list[list[str]]
  scores: Scores
  seconds: np.ndarray
  episodes: Episodes | None = None

  def rows(self, rows: np.ndarray) -> "Answers":
    """These prompts only."""
    scores = self.scores
    parts = {name: part[rows] for name, part in scores.parts.items()}
    return Answers(
      [self.examples[row] for row in rows],
      jax.tree.map(lambda leaf: leaf[rows], self.rollout),
      [self.texts[row] for row in rows],
      dataclasses.replace(
        scores, total=scores.total[rows], parts=parts, counted=scores.counted[:, rows]
      ),
      self.seconds,
      jax.tree.map(lambda leaf: leaf[rows], self.episodes),
    )

  def signal(self, *, gdpo: bool = False) -> np.ndarray:
    """bool[P]: whether the rewards of the group differ; with GDPO, any of those that weigh."""
    total, scores = self.scores.total, self.scores
    scored = jnp.asarray(~np.isnan(total))
    own = [part for part, w in zip(scores.counted, scores.weights, strict=True) if w]
    looked_at = own if gdpo and own else [total]
    found = [has_signal(jnp.asarray(np.where(scored, part, 0)), scored) for part in looked_at]
    return np.any(found, axis=0)


def joined(left: Answers, right: Answers) -> Answers:
  """The prompts of both."""
  parts = {
    name: np.concatenate([part, right.scores.parts[name]])
    for name, part in left.scores.parts.items()
  }
  total = np.concatenate([left.scores.total, right.scores.total])
  return Answers(
    left.examples + right.examples,
    jax.tree.map(lambda a, b: np.concatenate([a, b]), left.rollout, right.rollout),
    left.texts + right.texts,
    Scores(
      total,
      parts,
      np.concatenate([left.scores.counted, right.scores.counted], axis=1),
      left.scores.weights,
      {kind: n + right.scores.failures[kind] for kind, n in left.scores.failures.items()},
    ),
    left.seconds + right.seconds,
    jax.tree.map(lambda a, b: np.concatenate([a, b]), left.episodes, right.episodes),
  )


def answer_advantages(advantages: np.ndarray, mask: np.ndarray) -> np.ndarray:
  """f32[P,G], or f32[P,G,T] with its mask -> f32[P,G]: of tokens, the mean."""
  if advantages.ndim == 2:
    return advantages
  return (advantages * mask).sum(-1) / np.maximum(mask.sum(-1), 1)
