r"""What a run, a few, or a sweep have found: lines here and one page to open in a browser.

python -m experiments.report runs/first
python -m experiments.report runs/sweep
python -m experiments.report runs/first runs/second --compute=seconds

A folder with study.journal is a sweep; without one, runs that differ in nothing but the seed are
one setting. The page is FOLDER/report.html, or --out. Of one run it is that which the run
itself has written at its end: curves, warnings, samples.
"""

from absl import app, flags

from grpo_jax.report.runs import UNITS
from grpo_jax.run import arguments, launch

_STORAGE = flags.DEFINE_string("storage", "", "Address of the study's database, as in the sweep.")
_STUDY = flags.DEFINE_string("study", "", "Name of the study, where the storage has several.")
_OUT = flags.DEFINE_string("out", "", "Where the page is written.")
_OBJECTIVE = flags.DEFINE_string(
  "objective", "", "Held-out figure of runs without a study: eval/accuracy."
)
_COMPUTE = flags.DEFINE_enum("compute", "steps", list(UNITS), "What compute is counted in.")


def main(argv: list[str]) -> None:
  """Prints and writes the report."""
  launch.report(
    argv[1:],
    storage=_STORAGE.value,
    name=_STUDY.value,
    compute=_COMPUTE.value,
    figure=_OBJECTIVE.value,
    out=_OUT.value,
  )


if __name__ == "__main__":
  app.run(main, flags_parser=arguments.parse_flags)
