"""Four devices on the CPU, compiled programs kept between runs, and the real model."""

import gc
import os
import signal

from tests import quick

# Of a shell's background job SIGINT is ignored, and would be by all that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
  signal.signal(signal.SIGINT, signal.default_int_handler)
# Before jax is imported: pmap and meshes are tested on devices that are not there.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {quick.xla_flags(4)}"
os.environ[quick.UNOPTIMISED] = "1"  # and of the commands that tests start
os.environ["JAX_PLATFORMS"] = "cpu"
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", os.path.join(_ROOT, ".cache", "compiled"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import jax  # noqa: E402
import pytest  # noqa: E402

# Begun first: one worker would be left alone with them at the end.
_LONG = (
  "tests/parallel/",
  "tests/run/stages_test.py",
  "tests/run/population_test.py",
  "tests/run/assessment_test.py",
  "tests/run/loop_test.py",
  "tests/run/repeat_test.py",
  "tests/run/",
  "tests/steps/",
  "tests/sweep/",
)


def pytest_collection_modifyitems(items):
  """Orders the files."""
  places = {name: at for at, name in enumerate(_LONG)}
  first = {item.path: _place(item.nodeid, places) for item in items}
  items.sort(key=lambda item: first[item.path])


def pytest_collection_finish():
  """Tracing makes many objects, and each full collection would look at all that tests are."""
  gc.freeze()
  gc.set_threshold(100_000, 50, 100)


def _place(nodeid, places):
  return min((at for name, at in places.items() if nodeid.startswith(name)), default=len(places))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
  """Where the real model runs, it runs as it does for people: in fixtures and commands too."""
  plainly = not {"smollm2_path", "gemma3_path"} & set(item.fixturenames)
  if os.environ[quick.UNOPTIMISED] != str(int(plainly)):
    os.environ[quick.UNOPTIMISED] = str(int(plainly))
    jax.config.update("jax_disable_most_optimizations", plainly)


@pytest.fixture(autouse=True, scope="module")
def _forgetful():
  """Programs of thousands of tests would take gigabytes: each file's are let go at its end."""
  yield
  jax.clear_caches()


@pytest.fixture(scope="session")
def smollm2_path():
  """The file of SmolLM2-135M-Instruct, as `make model` brings it."""
  from grpo_jax.weights.fetch import fetch

  return fetch(os.path.join(_ROOT, ".cache", "models"))


@pytest.fixture(scope="session")
def smollm2(smollm2_path):
  """SmolLM2-135M-Instruct: its shape, weights and tokenizer."""
  from grpo_jax import weights

  return weights.load(smollm2_path)


@pytest.fixture(scope="session")
def gemma3_path():
  """The file of Gemma 3 270M, as `make gemma` brings it."""
  from grpo_jax.weights.fetch import fetch

  return fetch(os.path.join(_ROOT, ".cache", "models"), "gemma3")


@pytest.fixture(scope="session")
def gemma3(gemma3_path):
  """Gemma 3 270M, a base model: its shape, weights and tokenizer."""
  from grpo_jax import weights

  return weights.load(gemma3_path)
