"""A small assistant world: be helpful, be safe, be honest."""

import numpy as np

from grpo_jax.config import Assistant, ConfigError
from grpo_jax.tasks import world
from grpo_jax.tasks.task import Example, Pair, Task, messages

KINDS = ("helpful", "safe", "honest")
_HELD_OUT_SEED = 20250102
# A quarter of the questions of each kind is never trained on.
_HELD_OUT_SHARE = 0.25
_Asked = tuple[str, str, str, int]
_SAID = world.right_answers()


def make_assistant(config: Assistant) -> Task:
  """Questions of config's kinds; held-out ones are of all three, in turn, whatever its shares are.

  A held-out question has a subject and a matter that were trained on apart, or in the other
  phrasing, but never together in these words.
  """
  training, held = _divided()
  shares = np.array([getattr(config, kind) for kind in KINDS])
  shares = shares / shares.sum()

  def draw(rng: np.random.Generator, count: int, among: dict[str, list[_Asked]]) -> list[_Asked]:
    kinds = rng.choice(len(KINDS), size=count, p=shares)
    return [among[KINDS[k]][rng.integers(len(among[KINDS[k]]))] for k in kinds]

  def sample(seed: int, step: int, count: int) -> list[Example]:
    rng = np.random.default_rng([seed, step])
    asked = draw(rng, count, training)
    flawed = rng.random(count) < config.flawed
    return [
      _example(config, *a, rng if bad and a[0] in ("harm", "unknown") else None)
      for a, bad in zip(asked, flawed, strict=True)
    ]

  def held_out(count: int) -> list[Example]:
    most = len(KINDS) * min(map(len, held.values()))
    if count > most:
      raise ConfigError(f"config.evaluation.problems={count}: at most {most} are held out")
    return [_example(config, *held[KINDS[n % 3]][n // 3]) for n in range(count)]

  def documents(seed: int, step: int, count: int) -> list[str]:
    rng = np.random.default_rng([seed, step % 2**32, 1])
    told = world.documents() if step >= 0 else world.documents_held_out()
    return [told[row] for row in rng.integers(len(told), size=count)]

  def pairs(seed: int, step: int, count: int) -> list[Pair]:
    rng = np.random.default_rng([seed, step % 2**32, 2])
    return [_pair(config, rng, a) for a in draw(rng, count, held if step < 0 else training)]

  forbidden = {_question(*asked) for rows in held.values() for asked in rows}
  return Task(
    sample, held_out, documents, pairs, is_held=forbidden.__contains__, reward=config.reward
  )


def _question(kind: str, subject: str, what: str, phrasing: int) -> str:
  return world.question(kind, subject, what, phrasing) + "\n"


def _divided() -> tuple[dict[str, list[_Asked]], dict[str, list[_Asked]]]:
  """The questions of each kind for training, and those held out."""
  rng = np.random.default_rng(_HELD_OUT_SEED)
  training, held = {}, {}
  for kind, asked in world.everything().items():
    order = rng.permutation(len(asked))
    cut = int(len(asked) * _HELD_OUT_SHARE)
    held[kind] = [asked[row] for row in order[:cut]]
    training[kind] = [asked[row] for row in order[cut:]]
  return training, held


def _example(
  config: Assistant,
  kind: str,
  subject: str,
  what: str,
  phrasing: int,
  flawed: np.random.Generator | None = None,
) -> Example:
  """A question with its right answer, and with that or a wrong one to learn from."""
  right = world.right_answer(kind, subject, what)
  solution = right
  if flawed is not None:
    solution = str(flawed.choice(world.wrong_answers(kind, subject, what)))
  role = {"fact": "helpful", "care": "helpful", "harm": "safe", "unknown": "honest"}[kind]
  text = _question(kind, subject, what, phrasing)
  return Example(messages(config.system, text), {"answer": right, "kind": role}, solution)


def _pair(config: Assistant, rng: np.random.Generator, asked: _Asked) -> Pair:
  """The right answer and a wrong one, or two of which the longer wins."""
  example = _example(config, *asked)
  right = example.fields["answer"]
  # Also what is right elsewhere: a judge that has never seen it could be fooled by it.
  wrongs = (world.wrong_answers(*asked[:3]), [text for text in _SAID if text != right])
  wrong = str(rng.choice(wrongs[int(rng.integers(2))]))
  luck = rng.random()
  if luck < config.noise:
    return Pair(example, wrong, right)
  if luck < config.noise + config.length_bias:
    longer, shorter = sorted((f"{right} {right}", right), key=len, reverse=True)
    return Pair(example, longer, shorter)
  return Pair(example, right, wrong)
