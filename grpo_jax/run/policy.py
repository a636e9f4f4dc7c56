"""The policy of a run: a network, its first parameters, and the tokenizer that belongs to it."""

import copy
import dataclasses
import threading

import jax
import jax.numpy as jnp

from grpo_jax import weights
from grpo_jax.config import ConfigError, Experiment, Model
from grpo_jax.model import Network
from grpo_jax.types import Params
from grpo_jax.weights.tokenizer import CharacterTokenizer, Tokenizer


@dataclasses.dataclass(frozen=True)
class Policy:
  """A model as a run starts with it."""

  network: Network
  params: Params
  tokenizer: Tokenizer


_init = jax.jit(Network.init, static_argnums=0)
# Members of a population draw theirs at one time: the first compiles for all.
_DRAWING = threading.Lock()


def load_policy(experiment: Experiment) -> Policy:
  """Reads the weights that the config names, or draws them from the seed."""
  config = experiment.model
  if config.weights:
    pretrained = weights.load(config.weights)
    network = Network.from_config(pretrained.architecture, config)
    params = jax.tree.map(jnp.asarray, pretrained.params)
    return Policy(network, params, pretrained.tokenizer)
  return _from_scratch(config, experiment.seed)


def _from_scratch(config: Model, seed: int) -> Policy:
  tokenizer = CharacterTokenizer()
  architecture = copy.copy(config.architecture)
  assert architecture is not None  # Model.contradictions
  object.__setattr__(architecture, "_frozen", False)
  if architecture.vocab_size not in (0, tokenizer.vocab_size):
    raise ConfigError(
      f"config.model.architecture.vocab_size={architecture.vocab_size}, but the tokenizer has"
      f" {tokenizer.vocab_size} tokens: leave it at 0"
    )
  architecture.vocab_size = tokenizer.vocab_size
  network = Network.from_config(architecture, config)
  with _DRAWING:
    params = _init(network, jax.random.key(seed))
  return Policy(network, params, tokenizer)
