"""Episodes: how turns and observations become one answer, and what depends on what."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax import config, tasks
from grpo_jax.logprobs import answer_logprobs
from grpo_jax.parallel import ONE_DEVICE, make_devices
from grpo_jax.rollout import make_rollout
from grpo_jax.run.batches import prompt_batch
from grpo_jax.run.episodes import check_failures, make_player
from grpo_jax.run.figures import episode_figures
from grpo_jax.run.keys import prompt_keys, seeded, turn_keys
from grpo_jax.run.policy import load_policy
from grpo_jax.run.stage import Setting
from grpo_jax.tasks import Example, Task, Turn
from grpo_jax.types import Prompts, Rollout
from grpo_jax.weights.tokenizer import CharacterTokenizer

_SIZES = config.Rollout(prompts=2, group_size=2, max_tokens=2, turns=3, observation_tokens=3)
_WORDS = CharacterTokenizer()
_STOP = _WORDS.stop_ids[0]


def ids(text: str) -> list[int]:
  """Of characters, with $ for the stop token."""
  return [_STOP if sign == "$" else _WORDS.encode(sign)[0] for sign in text]


@dataclasses.dataclass
class _Echo:
  """Says "ok" and what it heard, and is done when it hears a d; bad turns fail."""

  said: int = 0

  def step(self, text: str) -> Turn:
    self.said += 1
    if text == "b":
      raise RuntimeError("broken")
    return Turn(f"<{text}{text}", 0.25 * self.said, done=text == "d")


_EXAMPLES = [Example([{"role": "user", "content": text}], {"answer": ""}) for text in ("qr", "s")]


def _setting(task=None, mode="single", tokenizer=None):
  experiment = config.Experiment(
    model=config.Model(
      tokenizer="characters",
      architecture=config.Architecture(
        hidden_size=16, layers=1, heads=2, kv_heads=1, head_size=8, ffn_size=24, context_length=64
      ),
    ),
    task=config.Guess(),
    parallel=config.Parallel(mode=mode, **({"fsdp": 2} if mode == "mesh" else {})),
    stages={"grpo": config.GRPO()},
  )
  policy, devices = load_policy(experiment), make_devices(experiment.parallel)
  task = task or Task(lambda *_: [], lambda _: [], reset=lambda example: _Echo())
  network = devices.network(policy.network)
  setting = Setting(experiment, 0, network, tokenizer or policy.tokenizer, task, devices)
  return setting, policy.params


def _turn(texts: list[list[str]], logprob: float) -> Rollout:
  """A rollout [P,G,2] of given characters; $ stops."""
  shape = (len(texts), len(texts[0]), 2)
  tokens, mask = np.full(shape, 7, np.int32), np.zeros(shape, bool)
  for p, group in enumerate(texts):
    for g, text in enumerate(group):
      tokens[p, g, : len(text)], mask[p, g, : len(text)] = ids(text), True
  finished = np.array([["$" in text for text in group] for group in texts])
  return Rollout(None, tokens, mask, np.where(mask, logprob + tokens, 5.0), finished)


def _scripted(turns):
  """first, later: rollouts that were written before, and a list of what they are asked with."""
  asked = []

  def answer(params, prompts, keys):
    asked.append((prompts, np.asarray(keys)))
    return turns[len(asked) - 1]

  return answer, asked


def test_turns_and_observations_interleave_without_gaps():
  """Worked by hand: rows end by a done, by a cut turn, by their last turn, by a failure."""
  answer, asked = _scripted(
    [_turn([["a$", "d$"], ["xy", "b$"]], -1.0), _turn([["$"]] * 4, -2.0), _turn([["z$"]] * 4, -3.0)]
  )
  setting, _ = _setting()
  keys = prompt_keys(3, 0, 0, 2)
  prompts = prompt_batch(_WORDS, _EXAMPLES, room=20)
  played = make_player(setting, _SIZES, 2, answer, answer)(None, prompts, keys, _EXAMPLES)
  rollout = played.rollout
  assert rollout.tokens.shape == (2, 2, _SIZES.total_tokens) == (2, 2, 12)
  whole = ids("a$<aa$<z$")
  np.testing.assert_array_equal(rollout.tokens[0, 0, :9], whole)
  own = np.array([1, 1, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0], bool)
  np.testing.assert_array_equal(rollout.mask[0, 0], own)
  drawn = np.array([-1.0, -1, 0, 0, 0, -2, 0, -3, -3])
  np.testing.assert_allclose(
    rollout.logprobs[0, 0, :9], np.where(own[:9], drawn + np.array(whole), 0)
  )
  np.testing.assert_array_equal(rollout.mask.sum(-1), [[5, 2], [2, 2]])
  np.testing.assert_array_equal(rollout.finished, [[True, True], [False, True]])
  np.testing.assert_allclose(played.episodes.rewards, [[1.5, 0.25], [0.25, np.nan]])
  np.testing.assert_array_equal(played.episodes.turns, [[3, 1], [1, 1]])
  assert played.episodes.failures() == {"error": 1, "invalid": 0, "timeout": 0, "crash": 0}
  assert played.texts == [["a\n\nz", "d"], ["xy", "b"]]
  assert played.shown[0][0].split("\n") == [
    *("model: a", "environment: <aa", "model: ", "environment: <", "model: z")
  ]
  assert [prompts.tokens.shape[1] for prompts, _ in asked] == [8, 13, 18]
  later: Prompts = asked[1][0]
  assert later.mask[0].sum() == 7
  np.testing.assert_array_equal(later.tokens[0][later.mask[0]], ids("qra$<aa"))
  assert not later.mask[0, :6].any()
  np.testing.assert_array_equal(asked[2][0].tokens[0, 9:], ids("qra$<aa$<"))
  for turn in (1, 2):
    key = jax.random.fold_in(jax.random.wrap_key_data(jnp.asarray(keys[0])), 0)
    own_key = jax.random.key_data(jax.random.fold_in(key, 2**20 + turn))
    np.testing.assert_array_equal(asked[turn][1][0], own_key)


def test_an_observation_over_its_budget_is_cut_and_counted():
  answer, _ = _scripted([_turn([["ab"], ["a$"]], 0.0), _turn([["d$"]] * 2, 0.0)])
  setting, _ = _setting()
  short = dataclasses.replace(_SIZES, observation_tokens=2)
  keys, prompts = prompt_keys(3, 0, 0, 2), prompt_batch(_WORDS, _EXAMPLES, room=20)
  played = make_player(setting, short, 1, answer, answer)(None, prompts, keys, _EXAMPLES)
  np.testing.assert_array_equal(played.rollout.tokens[1, 0, :6], ids("a$<ad$"))
  assert episode_figures(played.episodes) == {"episode/turns": 1.5, "episode/cut": 1.0}


def _played(setting, params, *, sizes=_SIZES, examples=_EXAMPLES, keys=None, rows=None):
  """Episodes by the setting's own network."""

  def program(group_size, name):
    rollout = make_rollout(
      *(setting.network,),
      group_size=group_size,
      max_tokens=sizes.max_tokens,
      stop_ids=range(48, 96),  # half of all tokens: episodes of every kind
      temperature=1.3,
    )
    return setting.devices.program(lambda _: seeded(rollout), None, name=name)

  G = sizes.group_size
  play = make_player(setting, sizes, G, program(G, "first"), program(1, "later"))
  prompts = prompt_batch(setting.tokenizer, examples, room=30, width=8)
  keys = prompt_keys(0, 0, 0, len(examples)) if keys is None else keys
  rows = slice(None) if rows is None else rows
  prompts = jax.tree.map(lambda leaf: leaf[rows], prompts)
  return play(setting.devices.replicate(params), prompts, keys[rows], examples[rows])


_MORE = [*_EXAMPLES, *(dataclasses.replace(e, messages=[{"role": "user", "content": t}])
                       for e, t in zip(_EXAMPLES, ("uvw", "u"), strict=True))]  # fmt: skip
_LARGE = config.Rollout(prompts=4, group_size=4, max_tokens=3, turns=3, observation_tokens=5)


def test_the_updates_log_probs_are_the_samplers_on_the_models_own_tokens():
  """The decisive one: positions, context and temperature are those that were sampled with."""
  setting, params = _setting()
  rollout = _played(setting, params, sizes=_LARGE, examples=_MORE).rollout
  assert (rollout.mask[..., 1:] & ~rollout.mask[..., :-1]).sum() > 10  # episodes of several turns
  logprobs, _ = answer_logprobs(setting.network, params, rollout, temperature=1.3)
  np.testing.assert_allclose(
    np.asarray(logprobs)[rollout.mask], rollout.logprobs[rollout.mask], atol=1e-5
  )


@pytest.mark.slow
def test_an_episode_does_not_depend_on_its_neighbours():
  setting, params = _setting()
  whole = _played(setting, params, sizes=_LARGE, examples=_MORE)
  alone = _played(setting, params, sizes=_LARGE, examples=_MORE, rows=slice(2, 3))
  for name in ("tokens", "mask", "finished"):
    np.testing.assert_array_equal(getattr(whole.rollout, name)[2:3], getattr(alone.rollout, name))
  np.testing.assert_array_equal(whole.episodes.turns[2:3], alone.episodes.turns)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["pmap", "mesh"])
def test_an_episode_does_not_depend_on_the_devices(mode):
  one, params = _setting()
  whole = _played(one, params, sizes=_LARGE, examples=_MORE)
  several, params = _setting(mode=mode)
  parted = _played(several, params, sizes=_LARGE, examples=_MORE)
  for name in ("tokens", "mask", "finished"):
    np.testing.assert_array_equal(getattr(whole.rollout, name), getattr(parted.rollout, name))
  np.testing.assert_array_equal(whole.episodes.rewards, parted.episodes.rewards)


def test_observations_carry_no_loss_but_are_read():
  """What stands after the last turn changes nothing; another observation changes what follows."""
  setting, params = _setting()
  rollout = _played(setting, params, sizes=_LARGE, examples=_MORE).rollout

  def gradient(tokens):
    def loss(params):
      logprobs, _ = answer_logprobs(setting.network, params, rollout.replace(tokens=tokens))
      return jnp.sum(jnp.where(rollout.mask, logprobs, 0))

    leaves = jax.tree.leaves(jax.grad(loss)(params))
    return np.concatenate([np.ravel(leaf) for leaf in leaves])

  tokens, mask = np.array(rollout.tokens), rollout.mask
  later = np.flip(np.cumsum(np.flip(mask, -1), -1), -1) > 0
  after, between = ~later, later & ~mask
  assert after.any()
  assert between.any()
  plain = gradient(tokens)
  np.testing.assert_array_equal(gradient(np.where(after, 3, tokens)), plain)
  assert np.abs(gradient(np.where(between, 3, tokens)) - plain).max() > 1e-3


def test_later_turns_have_keys_of_their_own():
  keys = prompt_keys(0, 0, 0, 3)
  found = [turn_keys(keys, 4, turn) for turn in (1, 2)]
  assert len({tuple(key) for turn in found for key in turn}) == 24
  np.testing.assert_array_equal(turn_keys(keys[1:2], 4, 1), found[0][4:8])


def test_an_environment_that_fails_too_often_ends_the_run():
  answer, _ = _scripted([_turn([["b$", "d$"], ["b$", "d$"]], 0.0)])
  setting, _ = _setting()
  keys, prompts = prompt_keys(3, 0, 0, 2), prompt_batch(_WORDS, _EXAMPLES, room=20)
  played = make_player(setting, _SIZES, 2, answer, answer)(None, prompts, keys, _EXAMPLES)
  check_failures(played.episodes, 0.5)
  with pytest.raises(RuntimeError, match=r"failed on 2 of 4 episodes \(2 error\)"):
    check_failures(played.episodes, 0.4)


def test_an_observation_without_tokens_costs_its_episode_alone():
  @dataclasses.dataclass
  class Umlaut:
    def step(self, text):
      return Turn("ü" if text == "a" else "", 1.0, done=text == "d")

  task = Task(lambda *_: [], lambda _: [], reset=lambda example: Umlaut())
  answer, _ = _scripted([_turn([["a$", "d$"], ["d$", "d$"]], 0.0)])
  setting, _ = _setting(task)
  keys, prompts = prompt_keys(3, 0, 0, 2), prompt_batch(_WORDS, _EXAMPLES, room=20)
  played = make_player(setting, _SIZES, 2, answer, answer)(None, prompts, keys, _EXAMPLES)
  np.testing.assert_array_equal(played.episodes.rewards, [[np.nan, 1], [1, 1]])
  assert played.episodes.failures()["invalid"] == 1


def test_rows_of_later_turns_shrink_by_halves():
  from grpo_jax.run.episodes import _rows

  assert [_rows(live, 64, 4) for live in (64, 33, 32, 9, 8, 1)] == [64, 64, 32, 16, 8, 8]
  assert [_rows(live, 24, 4) for live in (12, 5)] == [12, 12]  # six are not divisible by four
  assert _rows(1, 6, 1) == 6


def test_tasks_are_environments_only_where_they_say_so():
  assert ONE_DEVICE.count == 1
  assert tasks.build(config.Guess()).reset is not None
  assert tasks.build(config.Addition()).reset is None
