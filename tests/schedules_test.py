"""Learning rates at the steps that matter, against closed forms and bounds."""

import math

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from grpo_jax import config, schedules
from grpo_jax.optimizer import make_schedule
from tests import references

PEAK, FLOOR, WARMUP, STABLE, DECAY = 3e-4, 3e-6, 10, 30, 110
COMMON = {"peak": PEAK, "floor": FLOOR, "decay_steps": DECAY, "warmup_steps": WARMUP}
MAKERS = {
  "cosine": (schedules.cosine_with_floor, COMMON),
  "linear": (schedules.linear_with_floor, COMMON),
  "warmup_stable_decay": (schedules.warmup_stable_decay, {**COMMON, "stable_steps": STABLE}),
}


def rate(schedule, step) -> float:
  return float(schedule(step))


# --- exact values


@pytest.mark.parametrize("kind", MAKERS)
def test_begins_at_zero_rises_along_a_line_and_reaches_the_peak(kind):
  maker, arguments = MAKERS[kind]
  schedule = maker(**arguments)
  assert rate(schedule, 0) == 0
  assert rate(schedule, 1) == pytest.approx(PEAK / WARMUP, rel=1e-6)
  assert rate(schedule, WARMUP // 2) == pytest.approx(PEAK / 2, rel=1e-6)
  assert rate(schedule, WARMUP - 1) == pytest.approx(PEAK * 0.9, rel=1e-6)
  assert rate(schedule, WARMUP) == np.float32(PEAK)


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("step", [DECAY, DECAY + 1, 10 * DECAY, 10**6, 2**31 - 1])
def test_the_floor_is_a_learning_rate_and_holds(kind, step):
  maker, arguments = MAKERS[kind]
  assert rate(maker(**arguments), step) == np.float32(FLOOR)


def test_cosine_by_hand():
  schedule = schedules.cosine_with_floor(**COMMON)
  assert rate(schedule, 60) == pytest.approx((PEAK + FLOOR) / 2, rel=1e-6)
  quarter = FLOOR + (PEAK - FLOOR) * (1 + math.sqrt(0.5)) / 2
  assert rate(schedule, 35) == pytest.approx(quarter, rel=1e-6)


def test_linear_by_hand():
  schedule = schedules.linear_with_floor(**COMMON)
  assert rate(schedule, 60) == pytest.approx((PEAK + FLOOR) / 2, rel=1e-6)
  assert rate(schedule, 35) == pytest.approx(0.75 * PEAK + 0.25 * FLOOR, rel=1e-6)


def test_warmup_stable_decay_by_hand():
  schedule = schedules.warmup_stable_decay(**COMMON, stable_steps=STABLE)
  for step in (WARMUP, WARMUP + 1, WARMUP + STABLE - 1, WARMUP + STABLE):
    assert rate(schedule, step) == np.float32(PEAK)
  assert rate(schedule, WARMUP + STABLE + 1) < PEAK
  assert rate(schedule, 75) == pytest.approx((PEAK + FLOOR) / 2, rel=1e-6)


def test_constant_by_hand():
  schedule = schedules.constant_with_warmup(peak=PEAK, warmup_steps=4)
  rates = [rate(schedule, step) for step in (0, 1, 3, 4, 5, 10**6)]
  expected = [0, PEAK / 4, PEAK * 0.75, PEAK, PEAK, PEAK]
  np.testing.assert_allclose(rates, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", MAKERS)
def test_without_a_warmup_the_first_step_has_the_peak(kind):
  maker, arguments = MAKERS[kind]
  assert rate(maker(**{**arguments, "warmup_steps": 0}), 0) == np.float32(PEAK)
  assert rate(schedules.constant_with_warmup(peak=PEAK), 0) == np.float32(PEAK)


def test_decay_steps_include_the_warmup():
  """The floor is reached at decay_steps, not warmup_steps later."""
  schedule = schedules.cosine_with_floor(peak=1.0, floor=0.1, decay_steps=20, warmup_steps=10)
  assert rate(schedule, 15) == pytest.approx(0.55, rel=1e-6)
  assert rate(schedule, 19) > np.float32(0.1)
  assert rate(schedule, 20) == np.float32(0.1)


def test_a_floor_of_zero_and_a_floor_at_the_peak():
  assert rate(schedules.cosine_with_floor(peak=1.0, floor=0.0, decay_steps=5), 5) == 0
  flat = schedules.cosine_with_floor(peak=0.3, floor=0.3, decay_steps=7)
  assert {rate(flat, step) for step in range(10)} == {float(np.float32(0.3))}


# --- against the reference, and bounds


@pytest.mark.parametrize("kind", MAKERS)
def test_every_step_against_the_reference(kind):
  maker, arguments = MAKERS[kind]
  steps = np.arange(2 * DECAY)
  expected = [references.learning_rate(step, kind=kind, **arguments) for step in steps]
  ours = jax.vmap(maker(**arguments))(jnp.asarray(steps))
  np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-7 * PEAK)


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(
  kind=st.sampled_from(sorted(MAKERS)),
  peak=st.floats(1e-7, 1.0),
  share=st.floats(0.0, 1.0),
  warmup=st.integers(0, 1000),
  stable=st.integers(0, 1000),
  fall=st.integers(1, 100_000),
  step=st.integers(0, 200_000),
)
def test_never_below_the_floor_after_the_warmup_never_above_the_peak(
  kind, peak, share, warmup, stable, fall, step
):
  floor = peak * share
  arguments = {"peak": peak, "floor": floor, "warmup_steps": warmup}
  if kind == "warmup_stable_decay":
    arguments["stable_steps"] = stable
  else:
    stable = 0
  schedule = MAKERS[kind][0](decay_steps=warmup + stable + fall, **arguments)
  value, following = rate(schedule, warmup + step), rate(schedule, warmup + step + 1)
  rounding = 2e-7 * peak
  assert value >= 0
  assert floor - rounding <= value <= peak + rounding
  assert following <= value + rounding
  rising = rate(schedule, min(step, warmup))
  assert 0 <= rising <= peak + rounding


# --- refusals


@pytest.mark.parametrize("maker", [maker for maker, _ in MAKERS.values()])
@pytest.mark.parametrize(
  "bad",
  [
    {"floor": 2e-3},
    {"floor": -1e-9},
    {"peak": 0.0},
    {"peak": -1e-3},
    {"peak": math.nan},
    {"floor": math.nan},
    {"warmup_steps": -1},
    {"decay_steps": 0},
    {"decay_steps": -5},
  ],
)
def test_bad_arguments_are_refused_when_built(maker, bad):
  arguments = {"peak": 1e-3, "floor": 1e-4, "decay_steps": 100, "warmup_steps": 10, **bad}
  with pytest.raises(ValueError, match=next(iter(bad))):
    maker(**arguments)


@pytest.mark.parametrize("maker", [maker for maker, _ in MAKERS.values()])
@pytest.mark.parametrize("warmup", [100, 101])
def test_a_warmup_that_leaves_no_decay_is_refused(maker, warmup):
  with pytest.raises(ValueError, match=f"decay_steps=100.*{warmup}"):
    maker(peak=1.0, floor=0.1, decay_steps=100, warmup_steps=warmup)


def test_a_plateau_does_not_hide_a_negative_warmup():
  with pytest.raises(ValueError, match="warmup_steps"):
    schedules.warmup_stable_decay(
      peak=1.0, floor=0.1, decay_steps=100, warmup_steps=-1, stable_steps=5
    )


def test_a_plateau_that_leaves_no_decay_is_refused():
  for stable in (-1, 90, 91):
    with pytest.raises(ValueError, match="steps"):
      schedules.warmup_stable_decay(
        peak=1.0, floor=0.1, decay_steps=100, warmup_steps=10, stable_steps=stable
      )
  schedules.warmup_stable_decay(
    peak=1.0, floor=0.1, decay_steps=100, warmup_steps=10, stable_steps=89
  )


@pytest.mark.parametrize("bad", [{"peak": 0.0}, {"peak": math.nan}, {"warmup_steps": -1}])
def test_a_bad_constant_is_refused(bad):
  with pytest.raises(ValueError, match=next(iter(bad))):
    schedules.constant_with_warmup(**{"peak": 1.0, **bad})


# --- form, and the config


@pytest.mark.parametrize("kind", MAKERS)
def test_jit_and_a_traced_step_change_nothing(kind):
  maker, arguments = MAKERS[kind]
  schedule = maker(**arguments)
  for step in (0, 3, 10, 60, 109, 110, 500):
    jitted = jax.jit(schedule)(jnp.int32(step))
    assert (jitted.dtype, jitted.shape) == (jnp.float32, ())
    np.testing.assert_allclose(jitted, rate(schedule, step), rtol=1e-6, atol=1e-7 * PEAK)


@pytest.mark.parametrize("kind", MAKERS)
def test_the_config_says_the_same(kind):
  """`lr` and `min_lr` are both rates as the user wrote them; decay_steps 0 is the whole stage."""
  fields = {"lr": PEAK, "min_lr": FLOOR, "warmup_steps": WARMUP, "schedule": kind}
  if kind == "warmup_stable_decay":
    fields["stable_steps"] = STABLE
  whole = make_schedule(config.Optimizer(**fields), updates=DECAY)
  part = make_schedule(config.Optimizer(decay_steps=DECAY, **fields), updates=1000)
  for step in (0, 5, 10, 35, 75, 110, 900):
    expected = references.learning_rate(step, kind=kind, **MAKERS[kind][1])
    np.testing.assert_allclose(whole(step), expected, rtol=1e-5)
    np.testing.assert_allclose(part(step), expected, rtol=1e-5)


def test_the_config_says_constant():
  optimizer = config.Optimizer(lr=PEAK, min_lr=0.0, warmup_steps=2, schedule="constant")
  schedule = make_schedule(optimizer, updates=50)
  np.testing.assert_allclose([schedule(s) for s in (0, 1, 2, 99)], [0, PEAK / 2, PEAK, PEAK])
