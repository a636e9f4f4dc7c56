"""What is installed: console scripts, package data, and a wheel that works far from here."""

import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile

import pytest

from experiments import console

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# On PYTHONPATH the checkout would count as installed.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
_COMMANDS = sorted(
  path.stem
  for path in (_ROOT / "experiments").glob("*.py")
  if path.stem not in ("__init__", "console")
)


def test_each_command_is_a_console_script():
  assert _PROJECT["scripts"] == {f"grpo-{n}": f"experiments.console:{n}" for n in _COMMANDS}
  assert all(callable(getattr(console, name)) for name in _COMMANDS)


def test_a_script_runs_its_module_as_the_main_one():
  script = "from experiments import console; console.doctor()"
  # A process of its own: flags of other commands, once declared, are there for good.
  ended = subprocess.run(
    [sys.executable, "-c", script], cwd=_ROOT, capture_output=True, text=True, timeout=120
  )
  assert ended.returncode == 2
  assert "name a run folder" in ended.stderr


@pytest.mark.slow
def test_the_wheel_works_outside_of_the_checkout(tmp_path):
  wheel = _build(tmp_path)
  with zipfile.ZipFile(wheel) as files:
    names = files.namelist()
  assert {"grpo_jax/py.typed", "experiments/configs/tiny_arithmetic.py"} <= set(names)
  assert any(name.endswith("licenses/LICENSE") for name in names)
  assert not [name for name in names if name.startswith(("tests", "benchmarks", "docs"))]
  scripts = _install(wheel, tmp_path / "venv")
  described = _run(scripts / "grpo-train", "--config=variants:dapo", "--describe", cwd=tmp_path)
  assert "--config.stages.grpo.loss.clip_high=0.28" in described.stdout, described.stderr
  helped = _run(scripts / "grpo-report", "--help", cwd=tmp_path)
  assert "--objective" in helped.stdout
  refused = _run(scripts / "grpo-train", "--config=nothing", cwd=tmp_path)
  assert refused.returncode == 2
  assert "tiny_arithmetic" in refused.stderr


def _build(tmp_path: pathlib.Path) -> pathlib.Path:
  """A wheel of what stands here; made of a copy, for setuptools leaves files beside its source."""
  copy = tmp_path / "source"
  for folder in ("grpo_jax", "experiments"):
    shutil.copytree(_ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
  for file in ("pyproject.toml", "README.md", "LICENSE"):
    shutil.copy(_ROOT / file, copy)
  pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
  subprocess.run([*pip, "-w", tmp_path, copy], check=True)
  return next(tmp_path.glob("*.whl"))


def _install(wheel: pathlib.Path, venv: pathlib.Path) -> pathlib.Path:
  """Its scripts, in an environment that has nothing of its own but the wheel."""
  subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
  python = venv / "bin" / "python"
  pip = [
    sys.executable,
    "-m",
    "pip",
    "--python",
    python,
    "install",
    "-q",
    "--no-deps",
    "--no-index",
  ]
  subprocess.run([*pip, wheel], check=True, env=_ENVIRONMENT, cwd=venv)
  site = subprocess.run(
    [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
    check=True,
    capture_output=True,
    text=True,
  ).stdout.strip()
  # What it depends on comes from the environment of the tests; .pth files there are not read.
  (pathlib.Path(site) / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
  return venv / "bin"


def _run(*words, cwd: pathlib.Path) -> subprocess.CompletedProcess:
  asked = {"cwd": cwd, "env": _ENVIRONMENT, "capture_output": True, "text": True}
  return subprocess.run(words, timeout=120, **asked)
