"""Writes report.html of one run, and says it in a few lines."""

import os

from grpo_jax.config import ConfigError
from grpo_jax.report.run_folder import Diagnose, Run, read, undiagnosed
from grpo_jax.report.run_page import ends, page

NAME = "report.html"


def run_report(
  folder: str, diagnose: Diagnose = undiagnosed, *, figure: str = "", out: str = ""
) -> list[str]:
  """Lines for the console; the page is written on the way, whole or not at all.

  Args:
    folder: the run's.
    diagnose: what is wrong with figures.
    figure: the held-out score; "" for eval/accuracy.
    out: the page; "" for report.html in the folder.

  Raises:
    ConfigError: the page cannot be written, or the run has not the figure.
  """
  run, out = read(folder, diagnose, figure), out or os.path.join(folder, NAME)
  write(out, page(run))
  return [*lines(run), "", f"page  {out}"]


def lines(run: Run) -> list[str]:
  """How a run has ended, and what was wrong."""
  warned = [f"warning: {one.stage} step {one.step}: {one.text}" for one in run.warnings]
  return [f"{run.name}: {ends(run)}", *warned]


def write(path: str, text: str) -> None:
  """The file whole, or as it was before.

  Raises:
    ConfigError: it cannot be written.
  """
  temporary = f"{path}.tmp"
  try:
    # A name of bytes that are no text is in a title at most.
    with open(temporary, "w", encoding="utf-8", errors="replace") as file:
      file.write(text)
    os.replace(temporary, path)
  except OSError as error:
    raise ConfigError(f"{path}: the page cannot be written: {error.strerror}") from error
