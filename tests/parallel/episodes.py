"""A short run in an environment, for several processes to play: a config."""

from grpo_jax import config
from tests.run import playing_test as playing


def get_config() -> config.Experiment:
  """Two turns of a guessing game, with a coin in the reward so that there is signal at once."""
  stages = {"sft": playing._sft(steps=80), "grpo": playing._grpo(steps=3)}
  return playing.experiment(stages, every=2)
