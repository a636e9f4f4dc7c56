r"""What a checkpoint can do on held-out problems: accuracy, mean@k, pass@k, maj@k, with intervals.

python -m experiments.evaluate --workdir=runs/tiny --checkpoint=best --samples=16
python -m experiments.evaluate --workdir=runs/tiny --task='Addition(low=0, question="{a}+{b}=")'
python -m experiments.evaluate --config=experiments/configs/smollm2_addition.py   # before training

Writes WORKDIR/evaluation-CHECKPOINT.json, or --out. BUILD.md, "Evaluating", says what stands there.
"""

from absl import app, flags
from ml_collections import config_flags

from grpo_jax.run import arguments, launch

_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "Experiment file; alone, the model as it begins. A run knows its own."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.")
_OUT = flags.DEFINE_string("out", "", "The JSON file, where it is to be another.")
_ASKED = [
  flags.DEFINE_string("checkpoint", "latest", "best, latest, start, or a number."),
  flags.DEFINE_string(
    "task", "", "Another task: my_task.py, Countdown, 'Addition(low=0, high=9)'."
  ),
  flags.DEFINE_string("reward", "", "Another reward whose full marks count as right."),
  flags.DEFINE_integer("problems", None, "How many; those of the run's evaluation if unset."),
  flags.DEFINE_integer("samples", 16, "Answers to each beside the greedy one.", lower_bound=0),
  flags.DEFINE_float("temperature", 1.0, "Of the samples.", lower_bound=0.0),
  flags.DEFINE_integer("top_k", 0, "0 is off.", lower_bound=0),
  flags.DEFINE_float("top_p", 1.0, "1 is off."),
  flags.DEFINE_float("min_p", 0.0, "0 is off."),
  flags.DEFINE_integer("max_tokens", None, "Of an answer; as in the run's evaluation if unset."),
  flags.DEFINE_integer("batch_size", None, "Answers that are written at a time; lower takes less."),
  flags.DEFINE_integer("seed", 0, "Of the samples and the intervals.", lower_bound=0),
]
_K = flags.DEFINE_list("k", [], "Of pass@k and maj@k: 1,2,4,8,16 as far as there are samples.")


def main(_: list[str]) -> None:
  """Evaluates, and prints a table."""
  asked = {flag.name: flag.value for flag in _ASKED}
  launch.evaluate(_CONFIG.value, _WORKDIR.value, _OUT.value, _K.value, asked)


if __name__ == "__main__":
  app.run(main, flags_parser=arguments.parse_only_flags)
