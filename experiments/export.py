r"""Writes a trained model as a Hugging Face folder, which transformers and vLLM load.

python -m experiments.export --workdir=runs/addition --out=models/addition

The folder can be `--config.model.weights` of another experiment.
"""

from absl import app, flags
from ml_collections import config_flags

from grpo_jax.run import arguments, launch

_CONFIG = config_flags.DEFINE_config_file("config", None, "Experiment file; a run knows its own.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.", required=True)
_OUT = flags.DEFINE_string("out", None, "Folder of the model, made here.", required=True)
_ADAPTER = flags.DEFINE_bool(
  "adapter", False, "The low-rank adapters alone, as peft reads them; else they are merged."
)
_CHECKPOINT = flags.DEFINE_string("checkpoint", "latest", "best, latest, start, or a number.")


def main(_: list[str]) -> None:
  """Exports the checkpoint."""
  whole = _CONFIG.value, _WORKDIR.value, _OUT.value, _CHECKPOINT.value
  launch.export(*whole, adapter=_ADAPTER.value)


if __name__ == "__main__":
  app.run(main, flags_parser=arguments.parse_only_flags)
