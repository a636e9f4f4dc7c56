"""The filter of system calls, interpreted for both architectures: the other one is not at hand."""

import os

import pytest

from grpo_jax.sandbox import seccomp, syscalls
from grpo_jax.sandbox.judge import run_python
from tests.sandbox.attempts import PRELUDE

_ALLOW, _DENY, _KILL = 0x7FFF0000, 0x00050001, 0x80000000
_MACHINES = ["x86_64", "aarch64"]
_TABLE = {**syscalls.COMPUTE, **syscalls.WRITE}
# Numbers of Linux' headers, x86_64 and aarch64.
_NEVER = {
  "clone": (56, 220), "clone3": (435, 435), "execve": (59, 221), "execveat": (322, 281),
  "kill": (62, 129), "tgkill": (234, 131), "ptrace": (101, 117), "socket": (41, 198),
  "connect": (42, 203), "sendto": (44, 206), "socketpair": (53, 199), "setsid": (112, 157),
  "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "unshare": (272, 97),
  "setns": (308, 268), "mount": (165, 40), "pivot_root": (155, 41), "chroot": (161, 51),
  "ioctl": (16, 29), "prctl": (157, 167), "seccomp": (317, 277), "bpf": (321, 280),
  "io_uring_setup": (425, 425), "memfd_create": (319, 279), "pidfd_open": (434, 434),
  "pidfd_getfd": (438, 438), "userfaultfd": (323, 282), "perf_event_open": (298, 241),
  "openat2": (437, 437), "symlinkat": (266, 36), "linkat": (265, 37), "fchmodat": (268, 53),
  "mknodat": (259, 33), "shmget": (29, 194), "add_key": (248, 217), "setuid": (105, 146),
}  # fmt: skip


def _verdict(machine, number, *arguments, writable=True, audit=None):
  """What the kernel would say: the four instructions that the filter is made of."""
  words = {0: number, 4: audit or syscalls.ARCHITECTURES[machine][0]}
  for place in range(6):
    value = arguments[place] if place < len(arguments) else 0
    words |= {16 + 8 * place: value & 0xFFFFFFFF, 20 + 8 * place: value >> 32}
  code, at, loaded = seccomp.program(machine, writable=writable), 0, 0
  while True:
    kind, true, false, constant = code[at]
    if kind == 0x06:
      return constant
    at += 1
    if kind == 0x20:
      loaded = words[constant]
    else:
      at += true if (loaded == constant if kind == 0x15 else loaded & constant) else false


@pytest.mark.parametrize("machine", _MACHINES)
def test_what_computing_needs_is_allowed_and_nothing_that_reaches_out(machine):
  column = syscalls.ARCHITECTURES[machine][1]
  for numbers in _TABLE.values():
    if numbers[column] is not None:
      assert _verdict(machine, numbers[column]) == _ALLOW
  for name, numbers in _NEVER.items():
    assert _verdict(machine, numbers[column]) == _DENY, name


@pytest.mark.parametrize("machine", _MACHINES)
def test_all_numbers_but_those_of_the_table_are_refused(machine):
  column = syscalls.ARCHITECTURES[machine][1]
  by_argument = (syscalls.OPEN, syscalls.OPENAT, syscalls.FCNTL, syscalls.PRLIMIT, syscalls.PIPE2)
  known = {numbers[column] for numbers in (*_TABLE.values(), *by_argument)}
  for number in (*range(1000), 1 << 30, (1 << 30) | 39, (1 << 32) - 1):
    assert _verdict(machine, number) == (_ALLOW if number in known else _DENY), number


@pytest.mark.parametrize("machine", _MACHINES)
def test_arguments_decide_in_their_low_bits(machine):
  column = syscalls.ARCHITECTURES[machine][1]
  fcntl, limit, pipe = (t[column] for t in (syscalls.FCNTL, syscalls.PRLIMIT, syscalls.PIPE2))
  high = 1 << 32
  assert _verdict(machine, fcntl, 3, 1030) == _ALLOW
  for command in (8, 10, 1024, 1026, 1031, high | 8):
    assert _verdict(machine, fcntl, 3, command) == _DENY
  assert _verdict(machine, limit, 0) == _ALLOW
  assert _verdict(machine, limit, 7) == _verdict(machine, limit, high | 7) == _DENY
  assert _verdict(machine, pipe, 0, 0o2000000) == _ALLOW
  assert _verdict(machine, pipe, 0, 0o2000200) == _DENY


@pytest.mark.parametrize("machine", _MACHINES)
def test_without_a_folder_of_its_own_nothing_is_opened_to_write(machine):
  column = syscalls.ARCHITECTURES[machine][1]
  openat, unlinkat = syscalls.OPENAT[column], syscalls.WRITE["unlinkat"][column]
  read = os.O_RDONLY | os.O_CLOEXEC
  assert _verdict(machine, openat, -100, 0, read, writable=False) == _ALLOW
  for flags in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_TMPFILE):
    assert _verdict(machine, openat, -100, 0, flags, writable=False) == _DENY
    assert _verdict(machine, openat, -100, 0, flags, writable=True) == _ALLOW
  assert _verdict(machine, unlinkat, writable=False) == _DENY


@pytest.mark.parametrize("machine", _MACHINES)
def test_another_architecture_ends_the_process(machine):
  """On x86_64 `int 0x80` reaches the calls of 32 bits, which have other numbers."""
  assert _verdict(machine, 1, audit=0x40000003) == _KILL


def test_a_machine_without_a_table_is_refused():
  with pytest.raises(OSError, match="no table of system calls for riscv64: there are x86_64 and"):
    seccomp.program("riscv64", writable=True)


@pytest.mark.skipif(os.uname().machine not in _MACHINES, reason="no table for this machine")
def test_the_kernel_refuses_every_other_number():
  """All of them, asked for real."""
  column = syscalls.ARCHITECTURES[os.uname().machine][1]
  by_argument = (syscalls.OPEN, syscalls.OPENAT, syscalls.FCNTL, syscalls.PRLIMIT, syscalls.PIPE2)
  known = {numbers[column] for numbers in (*_TABLE.values(), *by_argument)}
  # uretprobe and uprobe pass every filter; newer kernels end a process that asks without a probe.
  probes = (335, 336) if column == 0 else ()
  others = [number for number in range(500) if number not in (*known, *probes)]
  source = PRELUDE + "def f(numbers): return [tried(lambda n=n: raw(n, n))[0] for n in numbers]"
  (found,) = run_python(source, [{"call": "f", "args": [others]}])
  assert set(found.value) == {"PermissionError 1"}, found
