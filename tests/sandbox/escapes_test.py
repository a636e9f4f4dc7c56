"""Every attempt fails, nothing is left of it, and the layer that should have stopped it did."""

import contextlib
import time

import pytest

from grpo_jax.rewards.unit_tests import same
from grpo_jax.sandbox import launch, outcome
from tests.sandbox.attempts import ATTEMPTS, FILES, NETWORK, PROCESSES
from tests.sandbox.escapes import BURNING, LIMITS, attempt, stopped_by
from tests.sandbox.hosts import SECRET, World

_SECCOMP = {*PROCESSES, *NETWORK, "SIGSTOP of itself", "locks on a file of the host"} | {
  "mount, chroot, unshare, setns, pivot_root", "shared memory, queues, keys that outlive it",
  "bpf, perf, userfaultfd, a second filter, prctl", "a bigger result pipe",
}  # fmt: skip
_NAMESPACES = {
  "overwriting a file of the host", "overwriting the judge, Python, /etc",
  "reading a file of the host, of the home folder", "listing folders of the host",
  "environment and memory of the judge by /proc", "pipes of the judge by /proc",
  "up and out of the folder",
}  # fmt: skip
_LAYERS = {
  **dict.fromkeys(_SECCOMP, "seccomp"),
  **dict.fromkeys(_NAMESPACES, "namespaces"),
  **dict.fromkeys(("10 GB allocation", "memory in small pieces"), "RLIMIT_AS"),
  **dict.fromkeys(BURNING, "RLIMIT_CPU"),
  "sleep": "deadline",
  "SIGALRM, SIGTERM and SIGXCPU ignored, sleep": "deadline",
  "a byte a moment to the result pipe": "deadline",
  "result pipe closed, sleep": "deadline",
  "1 GB to the result pipe": "result_bytes",
  "a huge value": "result_bytes",
  "filling the folder": "tmpfs size",
  "files without end": "tmpfs size",
  "one file without end": "RLIMIT_FSIZE",
  "descriptors and pipes without end": "RLIMIT_NOFILE",
  "a value that is not JSON": "JSON only",
  "a value nested 100 000 deep": "JSON only",
}
# Without seccomp for a test, nothing that starts processes: RLIMIT_NPROC does not bind root.
_WITHOUT_SECCOMP = [
  *FILES, *NETWORK, "kill the judge, everyone, the group", "a signal by F_SETOWN and F_SETSIG",
  "tkill, tgkill, sigqueue, pidfd_send_signal",
  "ptrace, process_vm_readv, process_vm_writev",
]  # fmt: skip


@pytest.fixture
def world(tmp_path):
  with contextlib.ExitStack() as stack:
    yield World(tmp_path, stack)


def _is_no_escape(found: outcome.Outcome, world: World):
  assert world.harm() == []
  assert SECRET not in repr(found)
  assert not (found.kind == "value" and same(found.value, 46))


@pytest.mark.fault(28)
@pytest.mark.parametrize("name", ATTEMPTS)
def test_an_attempt_fails(world, name):
  started = time.monotonic()
  found = attempt(name, world, "both")
  assert time.monotonic() - started < (30 if name in BURNING else LIMITS.wall_s) + 5
  _is_no_escape(found, world)
  assert "GOT" not in str(found.value)
  assert _LAYERS.get(name, stopped_by(found)[0]) in stopped_by(found)


@pytest.mark.fault(28)
@pytest.mark.parametrize("name", [*PROCESSES, *NETWORK, *FILES])
@pytest.mark.parametrize("mode", ["landlock", pytest.param("namespaces", marks=pytest.mark.slow)])
def test_either_of_the_layers_for_files_is_enough(world, name, mode):
  found = attempt(name, world, mode)
  _is_no_escape(found, world)
  assert "GOT" not in str(found.value)


@pytest.mark.fault(28)
@pytest.mark.parametrize("name", _WITHOUT_SECCOMP)
def test_without_seccomp_the_other_layers_keep_the_host_from_harm(world, name, monkeypatch):
  """Inside its own namespaces an action may succeed: it reaches nothing of ours."""
  off = "from grpo_jax.sandbox import seccomp; seccomp.install = lambda **_: None; main()"
  monkeypatch.setattr(launch, "_START", launch._START.replace("main()", off))
  _is_no_escape(attempt(name, world, "both"), world)


def test_harm_is_seen(world, monkeypatch):
  """The checks of the host are no checks unless they fail where something was done."""
  assert world.harm() == []
  with open(world.facts["canary"], "w", encoding="utf-8") as file:
    file.write("changed")
  lines = world.harm()
  assert any("was changed" in line for line in lines)
