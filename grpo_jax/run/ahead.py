"""The programs of a stage, compiled without running: what they need, and whether they compile."""

from collections.abc import Sequence
from typing import Any, cast

from grpo_jax.config import Architecture, Experiment
from grpo_jax.model import Network
from grpo_jax.parallel.ahead import Ahead, absent_devices, compile_ahead
from grpo_jax.run.checks import check_batch
from grpo_jax.run.lowered import stage_programs
from grpo_jax.run.stage import Setting
from grpo_jax.weights.tokenizer import CharacterTokenizer


def compile_stage(
  experiment: Experiment,
  name: str,
  devices: Sequence[Any],
  architecture: Architecture,
  *,
  prompt_length: int = 128,
  programs: Sequence[str] = (),
) -> dict[str, Ahead]:
  """Compiles the programs of a stage as a run would, without weights, data or the devices.

  Args:
    experiment: laid out as experiment.parallel says.
    name: the stage.
    devices: all that the run has: of this machine, or as `parallel.ahead.topology` gives them.
    architecture: the model's, whatever weights the experiment names.
    prompt_length: S.
    programs: which of them; empty for all.

  Returns:
    "update" and "evaluation"; of a stage that samples "rollout" too, and "look" where a pass is
    taken between the two.

  Raises:
    ConfigError: its sizes do not fit the devices.
  """
  stage = experiment.stages[name]
  over = absent_devices(experiment.parallel, devices)
  check_batch(over, name, stage)
  network = over.network(Network.from_config(architecture, experiment.model))
  index = list(experiment.stages).index(name)
  # Which tokens stop an answer is a constant of the program, and no task is asked.
  setting = Setting(experiment, index, network, CharacterTokenizer(), cast(Any, None), over)
  makers = stage_programs(setting, stage, prompt_length)

  def compiled(program: str) -> Ahead:
    made = makers[program]()
    return compile_ahead(over, made.function, made.whole, *made.parts, donate=made.donate)

  return {program: compiled(program) for program in programs or makers}
