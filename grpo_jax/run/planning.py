"""A plan of an experiment file: what the formulae need is read from files and the task."""

import copy
import json
import os
from typing import Any

from grpo_jax import tasks, weights
from grpo_jax.config import Architecture, ConfigError, Experiment, Pretrain, check
from grpo_jax.plan import table
from grpo_jax.plan.advice import advise, enough
from grpo_jax.plan.compiled import Compiled
from grpo_jax.plan.hardware import parse_topology
from grpo_jax.plan.plan import Plan, Request, plan
from grpo_jax.plan.presets import APPROXIMATE, model_architecture, named_like
from grpo_jax.run.batches import prompt_batch
from grpo_jax.run.checks import check_context
from grpo_jax.weights.tokenizer import CharacterTokenizer, Tokenizer

# Where there is no tokenizer: characters of a token, and tokens of a chat template.
_CHARACTERS, _TEMPLATE = 4, 16
# Where there is no task either.
_PROMPT_LENGTH = 256
_EXAMPLES = 256


def report(
  experiment: Experiment,
  *,
  topology: str = "cpu",
  model: str = "",
  prompt_tokens: int = 0,
  answer_tokens: int | None = None,
  price: float = 0.0,
  as_json: bool = False,
  compiled: bool = False,
) -> list[str]:
  """The lines that `experiments.plan` prints.

  Args:
    experiment: unchecked.
    topology, model, prompt_tokens, answer_tokens, price: as the flags of `experiments.plan`.
    as_json: one line of JSON instead.
    compiled: whether to compile the stages' programs for one local device.

  Raises:
    ConfigError: one line on what cannot be planned.
  """
  check(experiment)
  devices = parse_topology(topology, cpu_memory=_machine_memory())
  architecture, tokenizer, notes = _model(experiment, model)
  check_context(experiment, architecture.context_length)
  length, more = _prompt_length(experiment, architecture, tokenizer, prompt_tokens)
  found = plan(experiment, Request(architecture, length, devices, answer_tokens))
  advice = advise(experiment, found.request)
  said = table.Report(
    found,
    advice,
    notes + more + _members(experiment),
    price,
    more=None if found.fits or advice else enough(experiment, found.request),
    compiled=_compiled(experiment, found) if compiled else {},
  )
  return [json.dumps(table.values(said))] if as_json else table.text(said)


def estimate(
  experiment: Experiment, architecture: Architecture, tokenizer: Tokenizer, devices: int
) -> Plan:
  """The plan of a run that is about to start, of which only the memory is of this machine.

  Raises:
    ConfigError: it cannot be planned.
  """
  length, _ = _prompt_length(experiment, architecture, tokenizer, 0)
  topology = parse_topology(f"cpu:{devices}", cpu_memory=_machine_memory())
  return plan(experiment, Request(architecture, length, topology))


def _compiled(experiment: Experiment, found: Plan) -> dict[str, Any]:
  import jax

  from grpo_jax.run.ahead import compile_stage

  if found.request.topology.count > 1:
    raise ConfigError("--compile is for one device: leave --topology at cpu")
  a, length = found.request.architecture, found.request.prompt_length
  return {
    stage: {
      program: Compiled(**ahead.memory)
      for program, ahead in compile_stage(
        experiment, stage, jax.local_devices()[:1], a, prompt_length=length
      ).items()
    }
    for stage in experiment.stages
  }


def _machine_memory() -> float:
  """Bytes of this machine."""
  return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def _members(experiment: Experiment) -> list[str]:
  """What the plan leaves out of a population."""
  size = experiment.population.size
  return [] if size == 1 else [f"this is one of {size} members: each has a state of its own"]


def _model(experiment: Experiment, name: str) -> tuple[Architecture, Tokenizer | None, list[str]]:
  """The architecture, the tokenizer where it is there, and what was assumed."""
  config = experiment.model
  if name:
    return _preset(name, f"the model is {name} and not the config's")
  if not config.weights:
    assert config.architecture is not None  # Model.contradictions
    own: Tokenizer = CharacterTokenizer()
    architecture = copy.copy(config.architecture)
    object.__setattr__(architecture, "vocab_size", architecture.vocab_size or own.vocab_size)
    return architecture, own, []
  if os.path.exists(config.weights):
    return *weights.outline(config.weights), []
  near = named_like(config.weights)
  if near is None:
    raise ConfigError(
      f"config.model.weights={config.weights} is not here, and is not named after a known model:"
      " name one, as in --model=qwen2.5-7b"
    )
  return _preset(near, f"{config.weights} is not here: the shape is that of {near}")


def _preset(name: str, note: str) -> tuple[Architecture, None, list[str]]:
  approximate = APPROXIMATE.get(name.lower())
  return model_architecture(name), None, [note] + ([approximate] if approximate else [])


def _prompt_length(
  experiment: Experiment, a: Architecture, tokenizer: Tokenizer | None, asked: int
) -> tuple[int, list[str]]:
  """S, and what was assumed."""
  longest = max(stage.longest[0] for stage in experiment.stages.values())
  room = a.context_length - max(longest, experiment.evaluation.total_tokens)
  if asked:
    if not 1 <= asked <= max(room, 1):
      raise ConfigError(
        f"--prompt_tokens={asked}: the model's context of {a.context_length} leaves {room} beside"
        " the answers"
      )
    return asked, []
  if all(isinstance(stage, Pretrain) for stage in experiment.stages.values()):
    room = a.context_length - experiment.evaluation.total_tokens
  try:
    examples = tasks.build(experiment.task).sample(experiment.seed, 0, _EXAMPLES)
  except (ConfigError, OSError) as error:
    length = min(_PROMPT_LENGTH, room)
    return length, [f"prompts of {length} tokens are assumed (--prompt_tokens): {error}"]
  if tokenizer is not None:
    return prompt_batch(tokenizer, examples, room=room).tokens.shape[1], []
  characters = max(
    sum(len(str(turn["content"])) for turn in example.messages) for example in examples
  )
  tokens = _TEMPLATE + -(-characters // _CHARACTERS)
  length = min(-(-tokens // 8) * 8, room)
  return length, [f"prompts of {length} tokens are assumed (--prompt_tokens), by their characters"]
