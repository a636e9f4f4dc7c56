"""Programs can be contained on Linux with user namespaces and Landlock; elsewhere none is run."""

import pytest

from grpo_jax.sandbox import judge


@pytest.fixture(autouse=True)
def _contained():
  missing = {name: said for name, said in judge.layers().items() if said}
  if missing:
    pytest.skip(f"programs cannot be contained here in all ways: {missing}")
