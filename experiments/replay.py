r"""Takes a step again whose loss or gradient was not finite, and says where that comes from.

python -m experiments.replay runs/first/bad/grpo/12

The folder is what a run keeps of such a step: batch.npz, the state that it met, and its figures.
The exit code is 0 where the update is not finite again, and 1 where it is finite now.
"""

from absl import app

from grpo_jax.run import arguments, launch


def main(argv: list[str]) -> None:
  """Prints figures that differ, what is not finite, and the prompts that are enough for it."""
  launch.replay(argv[1:])


if __name__ == "__main__":
  app.run(main, flags_parser=arguments.parse_flags)
