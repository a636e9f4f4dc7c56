"""A filter of system calls: all but those that computing needs give EPERM, for good.

An allow-list, so that what newer kernels bring (io_uring, pidfd, mount calls) is refused unseen. It
knows no call that starts a process or thread, opens a socket, signals, traces, mounts, makes memory
shared or executable as a file, or sets something of another process.
"""

import ctypes
import errno
import os
import struct

from grpo_jax.sandbox import syscalls
from grpo_jax.sandbox.kernel import call

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_ALLOW, _DENY, _KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC. Not F_SETOWN and F_SETSIG, which
# together send any signal to any process of this user.
_FCNTL = (0, 1, 2, 3, 4, 1030)
# O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, and the bit of O_TMPFILE.
_WRITING = 0o1 | 0o2 | 0o100 | 0o1000 | 0o20000000
# O_NOTIFICATION_PIPE: a queue of the kernel's, and no pipe.
_NOTIFICATION_PIPE = 0o200

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant


def program(machine: str, *, writable: bool) -> list[Instruction]:
  """The filter in the instructions of classic BPF.

  Args:
    machine: as `os.uname().machine` has it.
    writable: whether files may be written and changed, where other layers allow it.

  Raises:
    OSError: no table of system calls for the machine.
  """
  if machine not in syscalls.ARCHITECTURES:
    known = " and ".join(syscalls.ARCHITECTURES)
    raise OSError(f"no table of system calls for {machine}: there are {known}")
  audit, column = syscalls.ARCHITECTURES[machine]
  code = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, audit), (_RETURN, 0, 0, _KILL)]
  code.append((_LOAD, 0, 0, _NUMBER))
  allowed = {**syscalls.COMPUTE, **(syscalls.WRITE if writable else {})}
  for numbers in allowed.values():
    code += _where(numbers[column], [(_RETURN, 0, 0, _ALLOW)])
  for numbers, argument in ((syscalls.OPEN, 1), (syscalls.OPENAT, 2)):
    code += _where(numbers[column], _without_bits(argument, 0 if writable else _WRITING))
  code += _where(syscalls.FCNTL[column], _one_of(1, _FCNTL))
  code += _where(syscalls.PIPE2[column], _without_bits(1, _NOTIFICATION_PIPE))
  # Of itself: the limits of a process of the same user are anyone's to lower.
  code += _where(syscalls.PRLIMIT[column], _one_of(0, (0,)))
  return [*code, (_RETURN, 0, 0, _DENY)]


def install(*, writable: bool) -> None:
  """Filters this process from here on.

  Raises:
    OSError: the kernel has no seccomp, or there is no table for the machine.
  """
  code = program(os.uname().machine, writable=writable)
  packed = b"".join(struct.pack("HBBI", *instruction) for instruction in code)
  buffer = ctypes.create_string_buffer(packed, len(packed))
  # struct sock_fprog: a length, and after padding an address.
  filters = (ctypes.c_uint64 * 2)(len(code), ctypes.addressof(buffer))
  call("prctl", _PR_SET_SECCOMP, _MODE_FILTER, filters, 0, 0)


def _where(number: int | None, then: list[Instruction]) -> list[Instruction]:
  return [] if number is None else [(_EQUAL, 0, len(then), number), *then]


def _one_of(argument: int, values: tuple[int, ...]) -> list[Instruction]:
  """Ends in allowed where the argument's low 32 bits, all that the kernel reads, are a value."""
  tests = []
  for value in values:
    tests += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
  return [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument), *tests, (_RETURN, 0, 0, _DENY)]


def _without_bits(argument: int, bits: int) -> list[Instruction]:
  """Ends in allowed where the argument has none of the bits."""
  test = [(_ANY_BIT, 0, 1, bits), (_RETURN, 0, 0, _DENY), (_RETURN, 0, 0, _ALLOW)]
  return [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument), *test]
