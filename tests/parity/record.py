"""Records what transformers computes, for tests that run without it. Writes to tests/data.

python tests/parity/record.py SMOLLM2.gguf GEMMA3.gguf   (needs what make test-parity installs)
"""

import hashlib
import importlib.metadata
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import pieces
import small
import tokenizers
import torch
import transformers
from texts import CONVERSATIONS, LONG, OTHER_DIGITS, PROMPTS, SPACES, TEXTS

_DATA = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data")
_PACKAGES = (
  *("torch", "transformers", "accelerate", "tokenizers", "safetensors", "gguf", "jinja2", "numpy"),
  "sentencepiece",
)
_POSITIONS, _ENTRIES, _TOP = 4, 256, 16


def main(smollm2: str, gemma3: str) -> None:
  record_small()
  record_smollm2(smollm2)
  record_gemma3(gemma3)
  versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
  for path in (smollm2, gemma3):
    with open(path, "rb") as file:
      versions[os.path.basename(path)] = "sha256 " + hashlib.file_digest(file, "sha256").hexdigest()
  _write("versions.json", versions)


def record_small() -> None:
  """Each family's folder, and the logits after every token of one sequence."""
  ids = np.random.default_rng(small.SEED).integers(3, 99, size=24)
  for name, model in small.make_all(small.make_tokenizer().get_vocab_size()).items():
    folder = os.path.join(_DATA, name)
    small.save(model, folder, max_shard_size="50KB" if name == "qwen3" else "1GB")
    np.savez(os.path.join(folder, "recorded.npz"), ids=ids, logits=_logits(model, ids.tolist()))


def record_smollm2(path: str) -> None:
  """SmolLM2 as transformers itself reads the GGUF file: token ids, and a part of its logits."""
  folder, name = os.path.split(path)
  tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name)
  chats = _record_tokens(tokenizer)
  rows = [*(_ids(tokenizer, text) for text in PROMPTS), chats[0]["ids"]]
  _record_logits("smollm2", path, rows, len(tokenizer))


def record_gemma3(path: str) -> None:
  """Gemma 3 270M: ids by SentencePiece from the file's pieces, logits by transformers.

  The last row is longer than the window of 512 tokens.
  """
  tokenizer = pieces.processor(path)
  texts = [{"text": text, "ids": tokenizer.encode(text)} for text in [*TEXTS, *SPACES]]
  _write(os.path.join("gemma-3-270m", "tokens.json"), {"texts": texts})
  rows = [[tokenizer.bos_id(), *tokenizer.encode(text)] for text in [*PROMPTS, LONG]]
  _record_logits("gemma-3-270m", path, rows, tokenizer.vocab_size())


def _record_logits(name: str, path: str, rows: list[list[int]], vocab_size: int) -> None:
  """After the last tokens of each row: some entries at random, and the largest."""
  folder, file = os.path.split(path)
  model = transformers.AutoModelForCausalLM.from_pretrained(
    folder, gguf_file=file, dtype=torch.float32, attn_implementation="eager"
  )
  entries = np.random.default_rng(small.SEED).choice(vocab_size, _ENTRIES, replace=False)
  arrays = {"entries": np.sort(entries)}
  for number, ids in enumerate(rows):
    logits = _logits(model.eval(), ids)[-_POSITIONS:]
    top = np.argsort(-logits, axis=-1, kind="stable")[:, :_TOP]
    arrays[f"ids_{number}"] = np.asarray(ids)
    arrays[f"entries_{number}"] = logits[:, arrays["entries"]]
    arrays[f"top_ids_{number}"] = top
    arrays[f"top_{number}"] = np.take_along_axis(logits, top, axis=-1)
  os.makedirs(os.path.join(_DATA, name), exist_ok=True)
  np.savez_compressed(os.path.join(_DATA, name, "recorded.npz"), **arrays)


def _record_tokens(tokenizer: transformers.PreTrainedTokenizerFast) -> list[dict]:
  """Writes ids of texts and conversations; returns the conversations."""
  chats = []
  for messages in CONVERSATIONS:
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    chats.append({"messages": messages, "text": text, "ids": _ids(tokenizer, text)})
  texts = [{"text": text, "ids": _ids(tokenizer, text)} for text in TEXTS]
  digits = {"text": OTHER_DIGITS, "ids": _ids_with_digits_apart(tokenizer, OTHER_DIGITS)}
  path = os.path.join("smollm2", "tokens.json")
  _write(path, {"texts": texts, "digits": digits, "chats": chats})
  return chats


def _ids(tokenizer: transformers.PreTrainedTokenizerFast, text: str) -> list[int]:
  return tokenizer(text, add_special_tokens=False)["input_ids"]


def _ids_with_digits_apart(tokenizer: transformers.PreTrainedTokenizerFast, text: str) -> list[int]:
  apart = tokenizers.Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
  steps = tokenizers.pre_tokenizers
  apart.pre_tokenizer = steps.Sequence(
    [steps.Digits(individual_digits=True), steps.ByteLevel(add_prefix_space=False)]
  )
  return apart.encode(text, add_special_tokens=False).ids


def _logits(model: transformers.PreTrainedModel, ids: list[int]) -> np.ndarray:
  with torch.no_grad():
    return model(torch.tensor([ids])).logits[0].float().numpy()


def _write(name: str, value: dict) -> None:
  """One line an entry."""
  path = os.path.join(_DATA, name)
  os.makedirs(os.path.dirname(path), exist_ok=True)
  with open(path, "w", encoding="utf-8") as file:
    json.dump(value, file, indent=None if "texts" in value else 1)
    file.write("\n")


if __name__ == "__main__":
  main(*sys.argv[1:])
