r"""Talks to a checkpoint in the terminal, token by token.

python -m experiments.generate --workdir=runs/addition
python -m experiments.generate --config=experiments/configs/smollm2_addition.py   # before training
python -m experiments.generate --workdir=runs/addition --prompt='What is 12 + 30?'   # one answer

/help lists commands; Ctrl-C stops an answer, Ctrl-D ends.
"""

from absl import app, flags
from ml_collections import config_flags

from grpo_jax.run import arguments, launch

_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "Experiment file; alone, the model as it begins. A run knows its own."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.")
_ASKED = [
  flags.DEFINE_string("checkpoint", "latest", "best, latest, start, or a number."),
  flags.DEFINE_string("prompt", None, "One message to answer; - reads standard input."),
  flags.DEFINE_string("system", None, "System message; that of the run's task if unset."),
  flags.DEFINE_float("temperature", 0.7, "0 is greedy.", lower_bound=0.0),
  flags.DEFINE_integer("top_k", 0, "0 is off.", lower_bound=0),
  flags.DEFINE_float("top_p", 0.9, "1 is off."),
  flags.DEFINE_float("min_p", 0.0, "0 is off."),
  flags.DEFINE_integer("max_tokens", 256, "The longest answer.", lower_bound=1),
  flags.DEFINE_integer("seed", 0, "Of the draws.", lower_bound=0),
]


def main(_: list[str]) -> None:
  """Talks, or answers once."""
  launch.generate(_CONFIG.value, _WORKDIR.value, **{flag.name: flag.value for flag in _ASKED})


if __name__ == "__main__":
  app.run(main, flags_parser=arguments.parse_only_flags)
