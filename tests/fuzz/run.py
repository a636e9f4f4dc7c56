"""Fuzzes a reader with atheris, which follows the branches that are taken (make fuzz).

python -m tests.fuzz.run --target=gguf --seconds=60        looks for what is not refused in one line
python -m tests.fuzz.run --target=gguf --replay=FILE       the same bytes again

What it finds, and what it has learned, is in .cache/fuzz/TARGET.
"""

import argparse
import hashlib
import os
import sys
import tempfile

FOLDER = os.path.join(".cache", "fuzz")


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--target", required=True)
  parser.add_argument("--seconds", type=int, default=60)
  parser.add_argument("--replay")
  flags = parser.parse_args()
  import atheris

  with atheris.instrument_imports(include=["grpo_jax", "jinja2", "json"]):
    from tests.fuzz.targets import TARGETS, attempt
  if flags.target not in TARGETS:
    sys.exit(f"error: --target={flags.target} is not one of {', '.join(TARGETS)}")
  target = TARGETS[flags.target]
  scratch = tempfile.mkdtemp(prefix="fuzz-")
  target.read(target.place(target.seeds()[0], scratch))  # what is imported late is so now

  def once(data: bytes) -> None:
    try:
      attempt(target, data, scratch)
    except BaseException:
      name = f"crash-{hashlib.sha1(data).hexdigest()}"  # as libFuzzer is about to name it
      path = os.path.join(FOLDER, flags.target, name)
      print(f"\nreplay: python -m tests.fuzz.run --target={flags.target} --replay={path}")
      raise

  if flags.replay:
    with open(flags.replay, "rb") as file:
      print(attempt(target, file.read(), scratch) or "it is read")
    return
  corpus = _corpus(flags.target, target.seeds())
  # As libFuzzer has them: bytes of an input, seconds and megabytes of one attempt.
  options = [corpus, f"-artifact_prefix={os.path.dirname(corpus)}/", "-max_len=200000"]
  options += [f"-max_total_time={flags.seconds}", "-timeout=30", "-rss_limit_mb=4000"]
  atheris.Setup([sys.argv[0], *options, "-print_final_stats=1"], once)
  atheris.Fuzz()


def _corpus(name: str, seeds: list[bytes]) -> str:
  """The folder of the inputs to start from; those of earlier runs are in it too."""
  folder = os.path.join(FOLDER, name, "corpus")
  os.makedirs(folder, exist_ok=True)
  for seed in seeds:
    with open(os.path.join(folder, hashlib.sha256(seed).hexdigest()[:16]), "wb") as file:
      file.write(seed)
  return folder


if __name__ == "__main__":
  main()
