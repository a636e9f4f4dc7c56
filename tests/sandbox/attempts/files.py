"""Files of the host, and what outlives the program."""

FILES = {
  "overwriting a file of the host": "def f(w): return tried(lambda: write(w['canary']))",
  "overwriting the judge, Python, /etc": """
import json
def f(w):
  names = (w["module"], json.__file__, "/etc/ld.so.cache")
  return tried(*(lambda p=p: write(p) for p in names))""",
  "changing a file of the host without opening it": """
def f(w):
  c = w["canary"]
  return tried(lambda: os.chmod(c, 0o777), lambda: os.truncate(c, 0), lambda: os.utime(c, (0, 0)),
    lambda: os.unlink(c), lambda: os.rename(c, c + "x"), lambda: os.chown(c, 1, 1), lambda:
    os.setxattr(c, "user.x", b"1"), lambda: os.open(c, os.O_RDONLY | os.O_TRUNC))""",
  "reading a file of the host, of the home folder": """
def f(w):
  names = (w["canary"], w["home"], "/root/.ssh/id_rsa", "/etc/shadow", "/etc/passwd")
  return tried(*(lambda p=p: read(p) for p in names))""",
  "listing folders of the host": """
def f(w):
  names = (w["folder"], "/tmp", "/proc", "/home", "/dev")
  return tried(*(lambda p=p: os.listdir(p) for p in names))""",
  "environment and memory of the judge by /proc": """
def f(w):
  who = (w["judge"], os.getppid(), "self", 1)
  names = [f"/proc/{p}/{n}" for p in who for n in ("environ", "mem", "cmdline")]
  return tried(*(lambda p=p: read(p) for p in names))""",
  "pipes of the judge by /proc": """
def f(w):
  return tried(*(lambda p=p: os.open(p, os.O_RDWR) for p in (f"/proc/{w['judge']}/fd/1",
    "/proc/self/fd/3", "/dev/fd/3", "/dev/stdout")))""",
  "the parent's environment in this process": """
def f(w):
  libc.getenv.restype = ctypes.c_char_p
  return [dict(os.environ), str(libc.getenv(b"SANDBOX_SECRET"))]""",
  "inherited file descriptors": """
def f(w):
  found = []
  for number in range(256):
    try: os.fstat(number)
    except OSError: continue
    found.append(number)
  return found""",
  "stdin": "def f(w): return tried(lambda: 1 / len(sys.stdin.read()), input)",
  "symbolic and hard links to the host": """
def f(w):
  return tried(lambda: os.symlink(w["canary"], "a"), lambda: os.link(w["canary"], "b"), lambda:
    read("a"), lambda: read("b"), lambda: os.mkfifo("c"), lambda: os.mknod("d", 0o60600, 0x801))""",
  "up and out of the folder": """
def f(w):
  return tried(lambda: write("../out"), lambda: write("/out"), lambda: write("/tmp/sandbox_out"),
    lambda: write("/dev/shm/sandbox_out"), lambda: write("/var/tmp/sandbox_out"))""",
  "mount, chroot, unshare, setns, pivot_root": """
def f(w):
  room = ctypes.create_string_buffer(64)
  return tried(lambda: raw(165, 40, b"none", b"/answer", b"proc", 0, None), lambda: os.chroot("/"),
    lambda: raw(272, 97, 0x10000000), lambda: raw(308, 268, 3, 0), lambda: raw(155, 41, b".", b"."),
    lambda: raw(442, 442, -100, b"/", 0x8000, room, 32), lambda: raw(166, 39, b"/usr", 2),
    lambda: raw(428, 428, -100, b"/", 1), lambda: raw(304, 265, -100, room, 0))""",
  "filling the folder": """
def f(w):
  for n in range(10**6): write(f"{n}", "x" * 900000)""",
  "one file without end": """
def f(w):
  with open("a", "wb") as file:
    while True: file.write(bytes(1 << 16)); file.flush()""",
  "files without end": """
def f(w):
  for n in range(10**6): os.mkdir(f"{n}")""",
  "shared memory, queues, keys that outlive it": """
def f(w):
  return tried(lambda: raw(29, 194, 7, 4096, 0o1600), lambda: raw(68, 186, 7, 0o1600),
    lambda: raw(64, 190, 7, 1, 0o1600), lambda: raw(240, 180, b"x", 0o102, 0o600, None),
    lambda: raw(248, 217, b"user", b"x", b"y", 1, -3))""",
  "bpf, perf, userfaultfd, a second filter, prctl": """
def f(w):
  room = ctypes.create_string_buffer(128)
  return tried(lambda: raw(321, 280, 0, room, 128), lambda: raw(298, 241, room, 0, -1, -1, 0),
    lambda: raw(323, 282, 0), lambda: raw(317, 277, 1, 0, room),
    lambda: raw(157, 167, 4, 1, 0, 0, 0))""",
  "modules in the place of the judge's": """
def f(w):
  for name in [name for name in sys.modules if name.startswith("grpo_jax")]: del sys.modules[name]
  root = os.path.dirname(os.path.dirname(os.path.dirname(w["module"])))
  sys.path[:0] = [root, w["folder"], os.path.dirname(w["module"])]
  return tried(lambda: __import__("grpo_jax"), lambda: __import__("judge"))""",
  "installed packages, where tests may lie": """
def f(w):
  packages = os.path.dirname(os.__file__) + "/site-packages"
  sys.path.append(packages)
  return tried(lambda: __import__("pip"), lambda: read(packages + "/pip/__init__.py"))""",
  "a private view of a file of the host": """
import mmap
def f(w):
  number = os.open(os.__file__, os.O_RDONLY)
  return tried(lambda: mmap.mmap(number, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE),
    lambda: os.fchmod(number, 0o777), lambda: os.ftruncate(number, 0))""",
  "locks on a file of the host": """
import fcntl
def f(w):
  number = os.open(os.__file__, os.O_RDONLY)
  return tried(lambda: fcntl.flock(number, fcntl.LOCK_SH),
    lambda: fcntl.lockf(number, fcntl.LOCK_SH))""",
}  # fmt: skip
