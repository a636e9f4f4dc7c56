r"""SmolLM2-135M-Instruct on tasks of reasoning-gym: what a small budget teaches, kind by kind.

make gym  # the five tasks of TASKS: a table of held-out accuracy before and after

python -m experiments.train --config=experiments/configs/gym.py:word_sorting --workdir=runs/sorting
python -m experiments.train --config=experiments/configs/gym.py --workdir=runs/clocks \
    --config.task.name=time_intervals

`gym.py:NAME` is one of TASKS with easy fields; `--config.task.name` without it is any other, as
hard as reasoning-gym has it. The model explains where a bare answer is asked for, and
reasoning-gym's scorers give that next to nothing (0 to 0.06 of 16 to 64 questions with full marks):
eight batches of solutions show the form before 40 steps of 64 answers. One GPU or two CPU cores, on
which a task takes ten minutes to half an hour. Seed 0 of 2026-11-27, held-out accuracy before,
after the warm start, and after GRPO:

chain_sum       0.00  0.27  0.39
products        0.00  0.03  0.07
spell_backward  0.00  0.01  0.03
word_sorting    0.01  0.14  0.20
syllogism       0.00  0.68  0.68

Why some learn little: benchmarks/RESULTS.md.
"""

from typing import Any, NamedTuple

from grpo_jax import config


class Easy(NamedTuple):
  """A task's kind, how many tokens its answers may have, and fields that make it easy."""

  kind: str
  max_tokens: int
  fields: dict[str, Any]


TASKS = {
  "chain_sum": Easy("arithmetic", 12, {"min_terms": 2, "max_terms": 2, "max_digits": 2}),
  "products": Easy("arithmetic", 12, {"max_digits": 2}),
  "spell_backward": Easy("letters", 12, {"min_word_len": 3, "max_word_len": 4}),
  "word_sorting": Easy("sorting", 24, {"max_words": 3, "max_word_length": 6}),
  "syllogism": Easy("logic", 12, {"invalid_ratio": 0.5}),
}
_HARD = Easy("any", 32, {})


def get_config(name: str = "") -> config.Experiment:
  """`name` is one of TASKS; without one the fields are reasoning-gym's own, and fit any task."""
  if name and name not in TASKS:
    raise config.ConfigError(
      f"no easy fields for {name!r}: known are {', '.join(TASKS)}; others by --config.task.name"
    )
  easy = TASKS.get(name, _HARD)
  return config.Experiment(
    model=config.Model(
      weights=".cache/models/SmolLM2-135M-Instruct.Q4_1.gguf", remat=False, logprob_chunk=128
    ),
    task=config.Gym(
      name=name or "chain_sum",
      fields=dict(easy.fields),
      system="Answer with the bare answer alone: no words around it, no explanation.",
    ),
    evaluation=config.Evaluation(
      problems=200, every=0, reward="gym", max_tokens=easy.max_tokens, batch_size=200
    ),
    checkpoint=config.Checkpoint(every=50, keep=1),
    stages={
      "warm_start": config.SFT(
        steps=8,
        batch_size=16,
        max_tokens=easy.max_tokens,
        optimizer=config.Optimizer(lr=2e-5, min_lr=2e-5, warmup_steps=3),
      ),
      "grpo": config.GRPO(
        steps=40,
        rollout=config.Rollout(prompts=8, group_size=8, max_tokens=easy.max_tokens),
        optimizer=config.Optimizer(lr=2e-5, min_lr=2e-6, warmup_steps=3, micro_batches=2),
        rewards={"task": 1.0},
      ),
    },
  )
