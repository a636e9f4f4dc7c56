"""Every extra, in a real process that has it not: one line that names it, or a run without."""

import os
import sys

import pytest

from grpo_jax import weights
from tests.faults import tiny
from tests.weights import gguf_file_test
from tests.weights.helpers import DATA

_ABSENT = """
import sys
for name in {names!r}:
  sys.modules[name] = None
"""
_QUICK = ("--config.stages.sft.steps=1", "--config.stages.rl.steps=1")


@pytest.mark.slow
@pytest.mark.fault(44)
def test_without_reports_a_run_is_told_and_goes_on(tmp_path):
  before = _ABSENT.format(names=["matplotlib", "tensorboardX"])
  done = tiny.run(tmp_path, *_QUICK, before=before)
  assert done.returncode == 0, done.stderr
  said = done.stderr + done.stdout
  assert said.count("pip install 'grpo_jax[report]'") == 2
  assert '"rl", "step": 1' in (tmp_path / "metrics.jsonl").read_text()


@pytest.mark.fault(44)
@pytest.mark.parametrize("package", ["safetensors", "tokenizers", "jinja2", "gguf"])
def test_without_readers_of_models_it_is_one_line(package, monkeypatch, tmp_path):
  for name in list(sys.modules):
    if name == package or name.startswith(f"{package}."):
      monkeypatch.delitem(sys.modules, name)
  monkeypatch.setitem(sys.modules, package, None)
  path = tmp_path / "model.gguf" if package == "gguf" else os.path.join(DATA, "llama")
  if package == "gguf":
    gguf_file_test.write(str(path))
  with pytest.raises(weights.WeightsError, match=r"pip install 'grpo_jax\[weights\]'$") as error:
    weights.load(str(path)).tokenizer.encode_chat([{"role": "user", "content": "a"}])
  assert "\n" not in str(error.value)
  assert package in str(error.value)
