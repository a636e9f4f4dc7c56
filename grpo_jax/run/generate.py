"""Talking to a checkpoint: what the command does."""

import sys
from collections.abc import Callable
from typing import Any

from grpo_jax.config import ConfigError, Experiment, Rollout, check
from grpo_jax.config.fields import children
from grpo_jax.run.chosen import START, Chosen, choose, experiment_of
from grpo_jax.run.speaking import Speaker
from grpo_jax.run.terminal import Conversation, converse, has_template, interruptible, make_read


def generate(
  experiment: Experiment | None,
  workdir: str | None,
  *,
  say: Callable[[str], None],
  warn: Callable[[str], None],
  checkpoint: str,
  prompt: str | None = None,
  system: str | None = None,
  temperature: float = 0.7,
  max_tokens: int = 256,
  seed: int = 0,
  **filters: Any,
) -> None:
  """Talks in the terminal, or answers one prompt.

  Args:
    experiment, workdir, checkpoint: as of `chosen.choose`; without a folder, the model as the
      experiment begins with it.
    say: takes lines. warn: takes those that are no part of an answer.
    prompt: asked alone; "-" is what stands on standard input, None is a conversation.
    system: the system message; None is that of the experiment's task.
    temperature, max_tokens, seed, filters: of the answers; top_k, top_p, min_p.

  Raises:
    ConfigError: one line on what cannot be loaded or answered.
  """
  sizes = Rollout(max_tokens=max_tokens, temperature=temperature, **filters)
  check(sizes, "answers")
  own = experiment_of(experiment, workdir)
  chosen = choose(own, workdir, checkpoint)
  if system is None:
    system = str(children(own.task).get("system", ""))
  speaker = Speaker(chosen.policy, max_tokens=max_tokens, seed=seed, note=warn, **filters)
  # In a pipe answers alone are on standard output.
  alone = prompt is not None or not (sys.stdin.isatty() and sys.stdout.isatty())
  beside = warn if alone else say
  conversation = Conversation(
    speaker, system=system, temperature=temperature, tell=_tell, note=beside
  )
  if prompt is None:
    for line in _greeting(chosen, speaker, workdir, own, system):
      beside(line)
    converse(conversation, make_read(), say)
    return
  text = sys.stdin.read() if prompt == "-" else prompt
  if not text.strip():
    raise ConfigError("--prompt is empty: name a text, or - for what stands on standard input")
  with interruptible() as asked:
    conversation.ask(text.removesuffix("\n"), asked)


def _greeting(
  chosen: Chosen, speaker: Speaker, workdir: str | None, experiment: Experiment, system: str
) -> list[str]:
  model = experiment.model.weights or "the model from scratch"
  place = f"{workdir}, checkpoint {chosen.label}" if workdir else model
  if workdir and chosen.label == START:
    place = f"{workdir} before its first step ({model})"
  return [
    f"{place}; context {speaker.context} tokens; /help lists commands",
    *([f"system message: {system}"] if system else []),
    *([] if has_template(speaker.tokenizer) else ["no chat template: each message stands alone"]),
  ]


def _tell(piece: str) -> None:
  sys.stdout.write(piece)
  sys.stdout.flush()
