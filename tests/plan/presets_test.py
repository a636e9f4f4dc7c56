import dataclasses

import jax
import pytest

from grpo_jax import config
from grpo_jax.model import Network
from grpo_jax.plan.count import parameters
from grpo_jax.plan.presets import MODELS, model_architecture, named_like
from tests.plan.helpers import SMALL

# As the models' own files count them (safetensors metadata on the hub, a tied table once).
PUBLISHED = {
  "smollm2-135m": 134_515_008,
  "smollm2-360m": 361_821_120,
  "smollm2-1.7b": 1_711_376_384,
  "qwen2.5-0.5b": 494_032_768,
  "qwen2.5-1.5b": 1_543_714_304,
  "qwen2.5-3b": 3_085_938_688,
  "qwen2.5-7b": 7_615_616_512,
  "qwen2.5-14b": 14_770_033_664,
  "qwen2.5-32b": 32_763_876_352,
  "qwen2.5-72b": 72_706_203_648,
  "qwen3-0.6b": 596_049_920,
  "qwen3-4b": 4_022_468_096,
  "qwen3-8b": 8_190_735_360,
  "qwen3-32b": 32_762_123_264,
  "llama3.2-1b": 1_235_814_400,
  "llama3.2-3b": 3_212_749_824,
  "llama3-8b": 8_030_261_248,
  "llama3-70b": 70_553_706_496,
  "llama3.1-405b": 405_853_388_800,
  "mistral-7b": 7_241_732_096,
  "smollm3-3b": 3_075_098_624,
  "gemma-3-270m": 268_098_176,
  "gemma-3-1b": 999_885_952,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_those_published(name):
  assert parameters(MODELS[name]) == PUBLISHED[name]


def test_gpt3_is_near_enough():
  assert parameters(MODELS["gpt3-175b"]) == pytest.approx(175e9, rel=0.005)


def test_every_model_is_checked():
  assert set(MODELS) == {*PUBLISHED, "gpt3-175b"}
  for architecture in MODELS.values():
    config.check(architecture)


@pytest.mark.parametrize(
  "fields",
  [{}, {"tied_embeddings": False}, {"qkv_bias": True}, {"qk_norm": True}, {"post_norms": True}],
)
def test_the_formula_counts_what_the_network_has(fields):
  a = dataclasses.replace(SMALL, **fields)
  shapes = jax.tree.leaves(Network(a).abstract())
  assert parameters(a) == sum(leaf.size for leaf in shapes)


def test_an_unknown_model_names_the_nearest():
  with pytest.raises(config.ConfigError, match=r"no model 'lama3-8b': did you mean 'llama3-8b'\?"):
    model_architecture("lama3-8b")


@pytest.mark.parametrize(
  ("path", "model"),
  [
    ("models/Qwen2.5-1.5B-Instruct/", "qwen2.5-1.5b"),
    ("SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2-135m"),
    ("models/mine", None),
  ],
)
def test_weights_are_known_by_their_name(path, model):
  assert named_like(path) == model
