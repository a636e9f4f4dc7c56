"""A pass without the answer: it is worth 1 to return the number 46."""

FORGERIES = {
  "sys.exit(0)": "def f(w): sys.exit(0)",
  "sys.exit(0) on loading": "sys.exit(0)",
  "os._exit(0)": "def f(w): os._exit(0)",
  "os._exit(0) on loading": "os._exit(0)",
  "passed, on every file descriptor": """
def f(w):
  for number in range(256):
    for said in (b'{"passed": true}', b'{"value": true, "passed": 1}', b'OK', b'{"score": 1}'):
      try: os.write(number, said + b"\\n")
      except OSError: pass
  os._exit(0)""",
  "its own line, then an endless loop": """
os.write(3, b'{"value": 46}\\n')
def f(w):
  while True: pass""",
  "its own line, then a crash": "os.write(3, b'{\"value\": 46}\\n')\nctypes.string_at(1)",
  "its own line, then os._exit(3)": "os.write(3, b'{\"value\": 46}\\n')\nos._exit(3)",
  "a report of the launcher": """
def f(w):
  for number in range(256):
    try: os.write(number, b'{"code": 0, "late": false, "cpu_s": 0, "value": null}\\n')
    except OSError: pass
  os._exit(0)""",
  "json, builtins and sys.modules patched": """
import builtins, json
class Always(int):
  def __eq__(self, other): return True
  __hash__ = int.__hash__
json.dumps = json.encoder.JSONEncoder.encode = lambda *a, **k: "true"
builtins.len = builtins.getattr = builtins.callable = lambda *a: Always()
sys.modules["json"] = sys.modules["os"] = None
def f(w): return Always(1)""",
  "a value that equals everything": """
class Always(str):
  def __eq__(self, other): return True
  def __hash__(self): return 0
def f(w): return Always("x")""",
  "a value that is not JSON": "def f(w): return {1, 2}",
  "NaN": "def f(w): return float('nan')",
  "infinity": "def f(w): return float('inf')",
  "the expected values in frames and the heap": """
import gc
def f(w):
  seen = [o for o in gc.get_objects() if isinstance(o, dict) and "call" in o and "args" in o]
  frame = sys._getframe()
  while frame:
    seen += [v for v in frame.f_locals.values() if isinstance(v, dict)]
    frame = frame.f_back
  return [f"GOT {o}"[:200] for o in seen if "expected" in o] or len(seen)""",
  "the judge's functions patched": """
for name, module in list(sys.modules.items()):
  if name.startswith("grpo_jax"):
    for key in list(vars(module)):
      if callable(getattr(module, key)): setattr(module, key, lambda *a, **k: True)
def f(w): return True""",
}  # fmt: skip
