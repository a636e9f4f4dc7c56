"""Starting processes, and doing something to those that are there."""

PROCESSES = {
  "fork bomb": "def f(w):\n  while True: os.fork()",
  "fork, vfork, clone, clone3": """
def f(w):
  return tried(os.fork, lambda: raw(58, 1079, 0), lambda: raw(56, 220, 17, 0, 0, 0, 0),
    lambda: raw(435, 435, ctypes.create_string_buffer(88), 88))""",
  "double fork with setsid": """
def f(w):
  if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
      time.sleep(600)""",
  "setsid, setpgid": "def f(w): return tried(os.setsid, lambda: os.setpgid(0, w['judge']))",
  "subprocess, exec, os.system, posix_spawn": """
def f(w):
  return tried(lambda: subprocess.run([sys.executable, "-V"]),
    lambda: os.posix_spawn("/bin/sh", ["sh"], {}), lambda: os.execv("/bin/sh", ["sh"]),
    lambda: 1 / (os.system("id") == 0))""",
  "memfd_create, then exec of it": """
def f(w):
  return tried(lambda: os.memfd_create("x"), lambda: raw(322, 281, 3, b"", None, None, 0x1000))""",
  "threads that survive": """
def f(w):
  return tried(lambda: threading.Thread(target=time.sleep, args=(600,)).start())""",
  "kill the judge, everyone, the group": """
def f(w):
  who = (w["judge"], os.getppid(), -1, 0)
  return tried(*(lambda p=p: os.kill(p, signal.SIGKILL) for p in who))""",
  "tkill, tgkill, sigqueue, pidfd_send_signal": """
def f(w):
  j, room = w["judge"], ctypes.create_string_buffer(128)
  return tried(lambda: raw(200, 130, j, 9), lambda: raw(234, 131, j, j, 9),
    lambda: raw(129, 138, j, 9, room), lambda: raw(434, 434, j, 0),
    lambda: raw(424, 424, 3, 9, 0, 0))""",
  "a signal by F_SETOWN and F_SETSIG": """
import fcntl
def f(w):
  r, _ = os.pipe()
  return tried(lambda: fcntl.fcntl(r, 10, 9),
    lambda: fcntl.fcntl(r, fcntl.F_SETOWN, w["judge"]))""",
  "the judge's limits and scheduling": """
def f(w):
  j = w["judge"]
  return tried(lambda: resource.prlimit(j, resource.RLIMIT_CPU, (1, 1)),
    lambda: os.sched_setaffinity(j, {0}), lambda: os.setpriority(os.PRIO_PROCESS, j, 19),
    lambda: os.sched_setaffinity(0, {0}))""",
  "more for itself: limits, setuid(0), setuid(-1)": """
def f(w):
  top = resource.RLIM_INFINITY
  return tried(lambda: resource.setrlimit(resource.RLIMIT_AS, (top, top)), lambda: os.setuid(0),
    lambda: raw(105, 146, -1), lambda: os.setresuid(-1, 0, -1), lambda: os.setgroups([0]))""",
  "ptrace, process_vm_readv, process_vm_writev": """
def f(w):
  j, room = w["judge"], ctypes.create_string_buffer(16)
  return tried(lambda: raw(101, 117, 16, j, 0, 0), lambda: raw(101, 117, 0, 0, 0, 0),
    lambda: raw(310, 270, j, room, 1, room, 1, 0),
    lambda: raw(311, 271, j, room, 1, room, 1, 0))""",
}  # fmt: skip
