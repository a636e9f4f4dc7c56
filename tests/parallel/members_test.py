"""Where members meet: calls that are made together are those that each would make alone."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax import config
from grpo_jax.parallel import Meeting, Member
from grpo_jax.parallel.joined import Joined
from grpo_jax.parallel.lanes import Lane
from grpo_jax.parallel.meeting import StoppedError
from grpo_jax.types import TrainState
from tests.parallel.compiled import note_programs


def live(size, life, vary=None, together=None, **_):
  """Runs life(member) of each member in its thread; what each returns or raises."""
  meeting = Meeting(size, vary or {}, together or size)
  found: list = [None] * size

  def one(index):
    try:
      found[index] = life(Member(meeting, index))
    except Exception as error:
      found[index] = error
    finally:
      meeting.leave(index)

  threads = [threading.Thread(target=one, args=(index,), daemon=True) for index in range(size)]
  for thread in threads:
    thread.start()
  meeting.serve()
  for thread in threads:
    thread.join(20)
  return found


def _twice(_):
  return lambda x, y: 2 * x + y


@pytest.mark.parametrize("together", [1, 2, 4])
def test_each_gets_what_it_asked_for(together):
  """Some leaves are the same for all, others each member's own; results are handed on uncut."""
  shared = jnp.arange(3.0)

  def life(member):
    call = member.program(_twice, None, name="twice")
    once = call(np.full(3, member.index, np.float32), shared)
    assert isinstance(once, Lane)
    return np.asarray(call(once, shared))

  for index, found in enumerate(live(4, life, together=together)):
    np.testing.assert_allclose(found, 4 * index + 3 * np.arange(3.0))


def test_what_differs_in_the_config_is_an_array_of_the_one_program():
  traces = []

  def build(loss):
    traces.append(loss)
    return lambda x: x * loss.clip_low

  def life(member):
    own = config.GRPO(loss=config.LossConfig(clip_low=0.1 * (1 + member.index)))
    call = member.program(lambda stage: build(stage.loss), own, name="grpo/look")
    return float(np.asarray(call(np.float32(10))))

  found = live(3, life, vary={"grpo": ("loss.clip_low",)})
  assert found == pytest.approx([1.0, 2.0, 3.0])
  assert len(traces) == 1


def test_one_that_has_left_and_one_that_is_elsewhere_are_not_waited_for():
  def life(member):
    call = member.program(_twice, None, name="twice")
    other = member.program(lambda _: lambda x: x - 1, None, name="other")
    x = np.float32(member.index)
    for _ in range(member.index):  # member 0 leaves at once
      x = call(x, np.float32(0))
    return float(np.asarray(other(x) if member.index == 2 else x))

  assert live(4, life) == [0, 2, 7, 24]


def test_an_array_that_a_member_still_needs_is_not_donated():
  """One goes ahead with an update while the other holds its lane of the same stack."""

  def life(member):
    place = member.program(lambda _: lambda x: x + 0, None, name="place_")
    update = member.program(lambda _: lambda x: x * 2, None, name="update", donate=(0,))
    state = place(np.full(4, 1 + member.index, np.float32))
    if member.index == 0:
      state = update(state)
    look = member.program(lambda _: lambda x: x.sum(), None, name="look")
    total = float(np.asarray(look(state)))
    return total, float(np.asarray(update(state)).sum())

  assert live(3, life) == [(8, 16), (8, 16), (12, 24)]


def test_an_error_is_raised_where_it_was_asked_for_and_the_others_go_on():
  def build(_):
    raise ValueError("no such program")

  def life(member):
    if member.index == 1:
      member.program(build, None, name="broken")(np.float32(0))
    call = member.program(_twice, None, name="twice")
    return float(np.asarray(call(np.float32(1), np.float32(1))))

  first, second, third = live(3, life)
  assert (first, third) == (3, 3)
  assert isinstance(second, ValueError)


def test_when_the_meeting_ends_all_who_wait_are_told(monkeypatch):
  meeting = Meeting(2, {}, 2)
  told = []

  def life(index):
    try:
      Member(meeting, index).program(_twice, None, name="twice")(np.float32(1), np.float32(1))
    except StoppedError as error:
      told.append(error)

  def interrupted(group, live):
    raise KeyboardInterrupt

  monkeypatch.setattr(meeting._joined, "call", interrupted)
  threads = [threading.Thread(target=life, args=(index,), daemon=True) for index in range(2)]
  for thread in threads:
    thread.start()
  with pytest.raises(KeyboardInterrupt):
    meeting.serve()
  for thread in threads:
    thread.join(20)
  assert len(told) == 2


def test_a_program_is_compiled_once_for_the_first_step_and_all_later_ones(monkeypatch):
  """A state that is placed is bound to a device, as one is that a program has returned."""
  programs, base = note_programs(monkeypatch), {"w": jnp.ones(3)}

  def life(member):
    update = member.program(
      lambda _: lambda state: (state.replace(params=state.params + state.frozen["w"]), 0.0),
      *(None,),
      name="update",
      donate=(0,),
    )
    state = member.replicate(
      TrainState(jnp.int32(0), jnp.full(3, member.index, jnp.float32), None, base)
    )
    for _ in range(3):
      state, _ = update(state)

  assert live(2, life) == [None, None]
  assert [program._cache_size() for program in programs] == [1]


def test_what_is_frozen_stays_one_array():
  """Beside the state, in one copy, whatever is done to the state."""
  base = {"w": jnp.ones((3, 3))}

  def step(state, x):
    moved = state.params["a"] + state.frozen["w"].sum() + x
    return state.replace(params={"a": moved}), moved

  def life(member):
    update = member.program(lambda _: step, None, name="update", donate=(0,))
    state = TrainState(jnp.int32(0), {"a": jnp.float32(member.index)}, None, base)
    state = member.replicate(state)
    for _ in range(2):
      state, _ = update(state, np.float32(1))
    assert state.frozen["w"].unsafe_buffer_pointer() == base["w"].unsafe_buffer_pointer()
    return float(np.asarray(state.params["a"])), id(state.frozen["w"])

  values, frozen = zip(*live(3, life), strict=True)
  assert values == (20, 21, 22)
  assert len(set(frozen)) == 1


def test_the_predicate_of_a_loop_is_each_members_own():
  """The decode loop of a member that is done changes nothing of it."""

  def count(_):
    def doubled(n):
      return jax.lax.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, s[1] * 2), (0, 1))[1]

    return doubled

  def life(member):
    return int(np.asarray(member.program(count, None, name="count")(np.int32(member.index))))

  for together in (1, 2, 4):
    assert live(4, life, together=together) == [1, 2, 4, 8]


def test_lanes_of_those_that_have_left_are_not_computed():
  """Where half are gone half the lanes are, and the arrays of those that are left go on."""
  sizes = []

  def build(_):
    def add(x):
      sizes.append(1)
      return x + 1

    return add

  def life(member):
    call = member.program(build, None, name="add")
    x = np.float32(10 * member.index)
    for _ in range(2 if member.index < 3 else 5):
      x = call(x)
    return float(np.asarray(x))

  assert live(4, life, together=1) == [2, 12, 22, 35]
  assert [Joined(8, together=2).lanes(n) for n in (8, 5, 4, 3, 2, 1)] == [8, 8, 4, 4, 2, 2]
