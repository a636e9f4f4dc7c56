"""Time, memory and output without end, and crashes."""

RESOURCES = {
  "10 GB allocation": "def f(w): return len(bytearray(10 << 30))",
  "memory in small pieces": "def f(w):\n  x = []\n  while True: x.append(bytearray(1 << 16))",
  "MemoryError caught, and on": """
def f(w):
  x = []
  while True:
    try: x.append(bytearray(1 << 20))
    except MemoryError: pass""",
  "infinite loop": "def f(w):\n  while True: pass",
  "10**10**9": "def f(w): return 10**10**9",
  "a regular expression without end": "import re\ndef f(w): re.match('(a+)+$', 'a' * 60 + 'b')",
  "sleep": "def f(w): time.sleep(600)",
  "SIGALRM, SIGTERM and SIGXCPU ignored, sleep": """
def f(w):
  for s in (signal.SIGALRM, signal.SIGTERM, signal.SIGXCPU): signal.signal(s, signal.SIG_IGN)
  time.sleep(600)""",
  "1 GB printed": "def f(w):\n  for _ in range(1000): os.write(1, b'x' * 10**6)",
  "printing without end": "def f(w):\n  while True: print('x' * 100000)",
  "1 GB to the result pipe": "def f(w):\n  while True: os.write(3, b'x' * 10**6)",
  "a byte a moment to the result pipe": (
    "def f(w):\n  while True: time.sleep(0.05 * os.write(3, b'x'))"
  ),
  "result pipe closed, sleep": "def f(w):\n  os.closerange(0, 99)\n  time.sleep(600)",
  "result pipe closed": "def f(w):\n  os.close(3)\n  return 1",
  "a huge value": "def f(w): return 'x' * (100 << 20)",
  "an int of a million digits": "def f(w): return 10**1000000",
  "a value nested 100 000 deep": "def f(w):\n  x = 1\n  for _ in range(10**5): x = [x]\n  return x",
  "deep recursion": "def f(w):\n  sys.setrecursionlimit(10**9)\n  return f(w)",
  "deep recursion in C": """
def f(w):
  sys.setrecursionlimit(10**9)
  class A:
    def __getattr__(self, name): return getattr(self, name + "x")
  return A().x""",
  "a segfault by ctypes": "def f(w): return ctypes.string_at(1)",
  "os.abort": "def f(w): os.abort()",
  "SIGSTOP of itself": "def f(w): return tried(lambda: os.kill(os.getpid(), signal.SIGSTOP))",
  "descriptors and pipes without end": "def f(w):\n  while True: os.pipe()",
  "a bigger result pipe": """
import fcntl
def f(w): return tried(lambda: fcntl.fcntl(3, 1031, 1 << 20))""",
  "a program of 100 000 brackets": "x = " + "(" * 10**5,
  "core dump": "def f(w):\n  resource.setrlimit(4, (-1, -1))\n  ctypes.string_at(1)",
}
