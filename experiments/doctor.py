r"""What was wrong with a run, from its figures: the warnings that it has, or would have, said.

python -m experiments.doctor runs/first [runs/second ...]
"""

from absl import app

from grpo_jax.run import arguments, launch


def main(argv: list[str]) -> None:
  """Prints a line for each illness, with the step at which it was seen first."""
  launch.doctor(argv[1:])


if __name__ == "__main__":
  app.run(main, flags_parser=arguments.parse_flags)
