"""A plan of episodes: later turns read all that was said before, each alone."""

from grpo_jax import config
from grpo_jax.plan import flops
from grpo_jax.plan.work import evaluation_work, stage_work
from tests.toys import architecture

_TURNS = {"max_tokens": 10, "turns": 3, "observation_tokens": 5}


def test_the_sizes_of_an_episode():
  stage = config.GRPO(rollout=config.Rollout(prompts=2, group_size=4, **_TURNS))
  work = stage_work(stage, 20)
  assert (work.T, work.decoded, work.headed) == (40, 30, 160)
  assert [(w.P, w.G, w.S, w.T) for w in work.later_turns] == [(8, 1, 35, 10), (8, 1, 50, 10)]
  held = evaluation_work(config.Evaluation(problems=6, batch_size=6, **_TURNS), 20)
  assert (held.P, held.T, held.later) == (6, 40, ((35, 10), (50, 10)))


def test_prefill_of_later_turns_is_paid_for_each_episode():
  stage = config.GRPO(rollout=config.Rollout(prompts=2, group_size=4, **_TURNS))
  alone = config.GRPO(rollout=config.Rollout(prompts=8, group_size=1, max_tokens=10))
  prefills = [flops.prefill(architecture(), stage_work(alone, S)) for S in (35, 50)]
  first = flops.prefill(architecture(), stage_work(config.GRPO(
    rollout=config.Rollout(prompts=2, group_size=4, max_tokens=10)), 20))  # fmt: skip
  assert flops.prefill(architecture(), stage_work(stage, 20)) == first + sum(prefills)
