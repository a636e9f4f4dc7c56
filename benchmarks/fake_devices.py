"""One step on 1 to 8 devices that a CPU pretends to have: bytes of a device, and seconds.

python -m benchmarks.fake_devices [--counts=1,2,4,8] [--seconds]

A decoder of 24M parameters, 16 prompts x 8 answers of 64 tokens. Bytes are what the compiler asks
for on each device. Seconds are the median step of a run, on cores that all devices share: they show
what dividing costs, not what it gains. Prints a table; runs are in runs/fake_devices/NAME.
"""

import os
import statistics

_MOST = 8
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={_MOST}"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402
from absl import app, flags  # noqa: E402

from benchmarks import runs  # noqa: E402
from grpo_jax import config  # noqa: E402
from grpo_jax.run.ahead import compile_stage  # noqa: E402
from grpo_jax.weights.tokenizer import CharacterTokenizer  # noqa: E402

_COUNTS = flags.DEFINE_list("counts", ["1", "2", "4", "8"], "Numbers of devices.")
_SECONDS = flags.DEFINE_bool("seconds", False, "Time a run of each too.")
_ROOT = os.path.join("runs", "fake_devices")
_LAYOUTS = ("pmap", "fsdp", "tensor")


def get_config(name: str = "fsdp-8") -> config.Experiment:
  """LAYOUT-COUNT, as fsdp-8."""
  layout, _, count = name.partition("-")
  axes = {} if layout == "pmap" else {layout: int(count)}
  architecture = config.Architecture(
    hidden_size=512, layers=8, heads=8, kv_heads=8, head_size=64, ffn_size=1408
  )
  return config.Experiment(
    model=config.Model(tokenizer="characters", architecture=architecture),
    task=config.Addition(low=0, high=99),
    evaluation=config.Evaluation(problems=8, max_tokens=8, batch_size=8),
    checkpoint=config.Checkpoint(every=1000),
    parallel=config.Parallel(mode="pmap" if layout == "pmap" else "mesh", **axes),
    stages={
      "grpo": config.GRPO(
        steps=6,
        rollout=config.Rollout(prompts=16, group_size=8, max_tokens=64),
        optimizer=config.Optimizer(),
        rewards={"random": 1.0},  # a prompt without signal would not be run
      )
    },
  )


def main(_: list[str]) -> None:
  """Prints the table."""
  print("| layout | devices | update | rollout |" + (" seconds a step |" if _SECONDS.value else ""))
  print("| --- | --- | --- | --- |" + (" --- |" if _SECONDS.value else ""))
  for layout in _LAYOUTS:
    for count in map(int, _COUNTS.value):
      cells = _memory(f"{layout}-{count}", count)
      if _SECONDS.value:
        cells.append(f"{_seconds(f'{layout}-{count}', count):.2f}")
      print(f"| {layout} | {count} | " + " | ".join(cells) + " |", flush=True)


def _memory(name: str, count: int) -> list[str]:
  experiment = get_config(name)
  architecture = experiment.model.architecture
  assert architecture is not None
  architecture.vocab_size = CharacterTokenizer().vocab_size
  programs = ("update", "rollout")
  devices = jax.devices()[:count]
  found = compile_stage(
    experiment, "grpo", devices, architecture, prompt_length=16, programs=programs
  )
  return [f"{found[program].peak / 1e9:.2f} GB" for program in programs]


def _seconds(name: str, count: int) -> float:
  os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={count}"
  folder = os.path.join(_ROOT, name)
  runs.train(os.path.join("benchmarks", "fake_devices.py"), name, folder, one_core=False)
  return statistics.median(of for step, of in runs.curve(runs.lines(folder), "time/step_s")[1:])


if __name__ == "__main__":
  app.run(main)
