from grpo_jax import config
from grpo_jax.plan.layout import best_layout
from grpo_jax.plan.plan import plan
from grpo_jax.plan.presets import MODELS
from tests.plan import helpers

_STAGE = config.GRPO(rollout=config.Rollout(prompts=64, group_size=16, max_tokens=512))


def _best(topology: str, model: str):
  request = helpers.request(topology, MODELS[model], S=256)
  return best_layout(helpers.experiment(_STAGE, dtype="bfloat16"), request)


def test_it_fits_and_is_what_a_plan_of_it_says():
  found, planned = _best("v5p:16", "qwen2.5-7b")
  assert planned.fits
  again = plan(found, planned.request)
  assert (again.peak, again.seconds) == (planned.peak, planned.seconds)


def test_a_small_model_is_not_split_by_tensor():
  found, _ = _best("v5p:8", "smollm2-135m")
  assert (found.parallel.tensor, found.stages["grpo"].optimizer.micro_batches) == (1, 1)


def test_where_none_fits_it_is_the_one_that_needs_the_least():
  _, planned = _best("v5e:2x2", "llama3-70b")
  assert not planned.fits


def test_rows_that_do_not_divide_are_not_split():
  request = helpers.request("v5p:2x2x1", MODELS["qwen2.5-7b"])
  found, _ = best_layout(helpers.experiment(config.SFT(batch_size=3)), request)
  assert found.parallel.data * found.parallel.fsdp == 1
