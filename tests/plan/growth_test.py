import pytest

from grpo_jax import config
from grpo_jax.plan.growth import growth, stops, table
from grpo_jax.plan.presets import MODELS
from tests.plan import helpers

_NAMES = ("qwen2.5-0.5b", "qwen2.5-7b", "gpt3-175b")


def _experiment() -> config.Experiment:
  stage = config.GRPO(rollout=config.Rollout(prompts=64, group_size=16, max_tokens=512))
  return helpers.experiment(stage, dtype="bfloat16")


@pytest.fixture(scope="module")
def axes():
  return growth(
    _experiment(),
    MODELS["qwen2.5-7b"],
    256,
    device="v5p",
    devices=[4, 16, 64, 256, 1024, 4096],
    groups=[4, 16, 64],
    lengths=[256, 4096, 65536],
    models={name: MODELS[name] for name in _NAMES},
    at=16,
  )


def test_more_devices_are_never_slower(axes):
  seconds = [point.plan.seconds for point in axes["devices"]]
  assert seconds == sorted(seconds, reverse=True)


def test_devices_stop_where_weights_are_read_for_few_answers(axes):
  points = axes["devices"]
  assert "decode reads all weights of a device, however few" in stops("devices", points)
  # 64 prompts: their groups are cut.
  assert points[-1].plan.split.rows == 128


def test_long_answers_cost_more_a_token_and_memory(axes):
  said = stops("answer tokens", axes["answer tokens"])
  assert "decode: memory" in said
  assert "65,536 does not fit" in said


def test_models_are_in_their_order_and_end_with_memory(axes):
  points = axes["parameters"]
  assert [point.shown for point in points] == list(_NAMES)
  assert "gpt3-175b does not fit" in stops("parameters", points)


def test_the_table_has_every_point(axes):
  lines = table(axes).splitlines()
  assert sum(line.startswith("| ") for line in lines) == sum(map(len, axes.values())) + 8
  assert sum(line.startswith("Stops: ") for line in lines) == 4
