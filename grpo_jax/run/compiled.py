"""Compiled programs are kept between runs: what cannot be kept or used is said once."""

import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import jax

_FOLDER = "~/.cache/grpo_jax/compiled"
_CHOSEN = "JAX_COMPILATION_CACHE_DIR"
_SECONDS = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
_TROUBLE = "persistent compilation cache"


def keep_compiled(say: Callable[[str], None]) -> None:
  """Turns jax's persistent compilation cache on, in a folder of our own or the user's."""
  logging.getLogger("jax").setLevel(logging.ERROR)
  folder = os.environ.get(_CHOSEN) or os.path.expanduser(_FOLDER)
  jax.config.update("jax_compilation_cache_dir", folder)
  if _SECONDS not in os.environ:
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
  if said := _unwritable(folder):
    say(f"warning: compiled programs are not kept: {folder}: {said} ({_CHOSEN} names another)")
    # What stands there can still be read.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", float("inf"))
    jax.config.update("jax_enable_compilation_cache", os.path.isdir(folder))
  _say_once(say, folder)


def _unwritable(folder: str) -> str | None:
  """Why nothing can be written there, if it cannot; elsewhere than on a disk is taken to work."""
  if "://" in folder:
    return None
  try:
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
      return None
  except OSError as error:
    return error.strerror or str(error)


def _say_once(say: Callable[[str], None], folder: str) -> None:
  """jax warns of each program that it cannot read or keep: a run has hundreds."""
  show = warnings.showwarning
  told: list[Any] = []

  def showwarning(message: Any, *place: Any, **more: Any) -> None:
    if _TROUBLE not in str(message):
      show(message, *place, **more)
    elif not told:
      told.append(message)
      said = " ".join(str(message).split())[:200]
      say(f"warning: {said}: compiled anew; if it stays so, remove {folder}")

  warnings.showwarning = showwarning
