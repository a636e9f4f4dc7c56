"""Sockets, and ways around them."""

NETWORK = {
  "TCP to the host": """
def f(w): return tried(lambda: socket.create_connection(("127.0.0.1", w["port"]), 1))""",
  "UDP, raw, netlink, vsock, IPv6": """
def f(w):
  kinds = ((2, 2), (2, 3), (16, 3), (40, 1), (10, 1))
  return tried(*(lambda k=k: socket.socket(*k) for k in kinds))""",
  "a Unix socket, named and abstract, socketpair": """
def f(w):
  def unix(name):
    s = socket.socket(socket.AF_UNIX)
    s.connect(name)
  return tried(lambda: unix(w["socket"]), lambda: unix("\\0" + w["abstract"]),
    socket.socketpair)""",
  "a queue of the kernel's": "def f(w): return tried(lambda: os.pipe2(0o200))",
  "io_uring": "def f(w): return tried(lambda: raw(425, 425, 8, ctypes.create_string_buffer(120)))",
}  # fmt: skip
