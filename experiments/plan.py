r"""Says what an experiment would need and take, before anything runs: no weights, no accelerator.

python -m experiments.plan --config=experiments/configs/smollm2_addition.py --topology=v5p:2x2x1 \
    --config.parallel.mode=mesh --config.parallel.fsdp=4 --price=2.5

Flags of --config as in training. `--model=llama3-8b` plans for another model; `--compile` asks the
compiler for one local device too; `--json` prints values for programs.
"""

from absl import app, flags
from ml_collections import config_flags

from grpo_jax.run import arguments, launch

_CONFIG = config_flags.DEFINE_config_file("config", None, "Experiment file, as in training.")
_TOPOLOGY = flags.DEFINE_string(
  "topology", "cpu", "Devices: NAME, NAME:COUNT or NAME:AxBxC, as in h100:8 or v5p:4x4x4."
)
_MODEL = flags.DEFINE_string("model", "", "Plan for a published model instead, as in llama3-8b.")
_PROMPT = flags.DEFINE_integer("prompt_tokens", 0, "Length of prompts; 0 asks the task.")
_ANSWER = flags.DEFINE_integer("answer_tokens", None, "Decode steps expected; max_tokens if unset.")
_PRICE = flags.DEFINE_float("price", 0.0, "Dollars of a device's hour.", lower_bound=0.0)
_JSON = flags.DEFINE_bool("json", False, "Print JSON.")
_COMPILE = flags.DEFINE_bool("compile", False, "Compile the programs for one local device too.")
flags.mark_flag_as_required("config")


def main(_: list[str]) -> None:
  """Prints the plan."""
  launch.plan(
    _CONFIG.value,
    topology=_TOPOLOGY.value,
    model=_MODEL.value,
    prompt_tokens=_PROMPT.value,
    answer_tokens=_ANSWER.value,
    price=_PRICE.value,
    as_json=_JSON.value,
    compiled=_COMPILE.value,
  )


if __name__ == "__main__":
  app.run(main, flags_parser=arguments.parse_only_flags)
