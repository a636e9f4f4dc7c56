"""Against transformers and torch as installed (make test-parity): our exports, and our readers."""

import json
import os
import subprocess

import numpy as np
import pytest

from grpo_jax import config, weights
from grpo_jax.model import adapted, frozen_base, merged
from grpo_jax.weights.tokenizer import CharacterTokenizer
from tests import toys
from tests.parity.texts import CONVERSATIONS, OTHER_DIGITS, PROMPTS, SPACES, TEXTS
from tests.weights.helpers import DATA, FAMILIES
from tests.weights.parity_test import CLOSE, all_logits, error_of

pytestmark = pytest.mark.parity

ASCII = "What is 17 + 25?\nThe sum, please."
CLASSES = {
  "llama": "LlamaForCausalLM",
  "llama3": "LlamaForCausalLM",
  "qwen2": "Qwen2ForCausalLM",
  "qwen3": "Qwen3ForCausalLM",
  "mistral": "MistralForCausalLM",
  "smollm3": "SmolLM3ForCausalLM",
  "gemma3": "Gemma3ForCausalLM",
}
CHAT = [{"role": "system", "content": "Add.\n"}, {"role": "user", "content": ASCII}]


@pytest.fixture
def transformers(tmp_path):
  """Runs live.py on jobs; returns (logits of each row, token ids) of each."""
  python = os.environ.get("PARITY_PYTHON")
  if python is None:
    pytest.skip("PARITY_PYTHON names a Python that has torch and transformers: make test-parity")

  def run(jobs: list[dict]) -> list[tuple[list[np.ndarray], dict]]:
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    script = os.path.join(os.path.dirname(__file__), "live.py")
    command = [os.path.abspath(python), script, str(tmp_path / "jobs.json"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    results = []
    for number in range(len(jobs)):
      with np.load(tmp_path / f"{number}.npz") as file:
        logits = [file[name] for name in file.files]
      results.append((logits, json.loads((tmp_path / f"{number}.json").read_text())))
    return results

  return run


def job(path, tokenizer, *, rows=None, texts=(ASCII,), chats=(CHAT,)) -> dict:
  rows = rows or [tokenizer.encode(ASCII)[:24]]
  return {"path": str(path), "rows": rows, "texts": list(texts), "chats": list(chats)}


def check(name, loaded: weights.Pretrained, asked: dict, answer) -> None:
  logits, ids = answer
  for row, theirs in zip(asked["rows"], logits, strict=True):
    (ours,) = all_logits(loaded, [row], 4)
    error = error_of(ours, theirs[-5:])
    print(f"{name}: {len(row)} tokens, relative error {error:.1e}")
    assert error < CLOSE
  assert [loaded.tokenizer.encode(text) for text in asked["texts"]] == ids["texts"]
  assert [loaded.tokenizer.encode_chat(chat) for chat in asked["chats"]] == ids["chats"]


def test_smollm2_and_its_export(tmp_path, smollm2, smollm2_path, transformers):
  """One reads our export, the other the GGUF file itself: ours, theirs and theirs again agree."""
  weights.save(str(tmp_path / "out"), smollm2.architecture, smollm2.params, smollm2.tokenizer)
  rows = [smollm2.tokenizer.encode_chat(CONVERSATIONS[1]), smollm2.tokenizer.encode(TEXTS[10])]
  # The other reader of GGUF leaves out that digits of any script stand apart.
  everything = [*TEXTS, OTHER_DIGITS]
  export = job(tmp_path / "out", smollm2, rows=rows, texts=everything, chats=CONVERSATIONS)
  direct = job(smollm2_path, smollm2, rows=rows, texts=TEXTS, chats=CONVERSATIONS)
  of_export, of_file = transformers([export, direct])
  check("smollm2, exported", smollm2, export, of_export)
  check("smollm2, GGUF", smollm2, direct, of_file)
  assert set(of_export[1]["stops"]) == set(smollm2.tokenizer.stop_ids)


def test_gemma3s_export(tmp_path, gemma3, transformers):
  """The tokenizer too, whose merges were not in the GGUF, and the token that it puts first."""
  weights.save(str(tmp_path / "out"), gemma3.architecture, gemma3.params, gemma3.tokenizer)
  rows = [gemma3.tokenizer.encode_chat([{"role": "user", "content": PROMPTS[0]}])]
  asked = job(tmp_path / "out", gemma3.tokenizer, rows=rows, texts=[*TEXTS, *SPACES], chats=[])
  (answer,) = transformers([asked | {"begun": PROMPTS[0]}])
  os.remove(
    tmp_path / "out" / "model.safetensors"
  )  # pytest keeps its folders, and this one is large
  check("gemma3, exported", gemma3, asked, answer)
  assert answer[1]["begun"] == rows[0]
  assert answer[1]["class"] == "Gemma3ForCausalLM"
  assert answer[1]["stops"] == list(gemma3.tokenizer.stop_ids)


def test_exports_of_each_family(tmp_path, transformers):
  """Weights that transformers has not made: another shape, at random, out through `save`."""
  tokenizer = weights.load(os.path.join(DATA, "llama")).tokenizer
  jobs, models = [], []
  for name, fields in toys.FAMILIES.items():
    net = toys.network(**fields | {"vocab_size": tokenizer.vocab_size, "head_size": 6})
    model = weights.Pretrained(net.architecture, toys.random_params(net), tokenizer)
    weights.save(str(tmp_path / name), model.architecture, model.params, tokenizer)
    jobs.append(job(tmp_path / name, tokenizer))
    models.append((name, model))
  for (name, model), asked, answer in zip(models, jobs, transformers(jobs), strict=True):
    check(f"{name}, exported", model, asked, answer)
    assert answer[1]["class"] == CLASSES[name]
    assert answer[1]["stops"] == list(tokenizer.stop_ids)


def test_adapters_that_peft_puts_on_the_base_are_the_merged_export(tmp_path, transformers):
  """Of every weight of a layer; ours are merged in float32, peft's are not."""
  tokenizer = weights.load(os.path.join(DATA, "llama")).tokenizer
  jobs, models = [], []
  for name, fields in toys.FAMILIES.items():
    net = toys.network(**fields | {"vocab_size": tokenizer.vocab_size, "head_size": 6})
    base, lora = toys.random_params(net), config.LoRA(rank=3, alpha=4.5)
    adapters = toys.random_adapters(net, lora)
    policy = adapted(adapters, frozen_base(base, lora.scale))
    weights.save(str(tmp_path / name), net.architecture, base, tokenizer)
    weights.save_adapter(str(tmp_path / f"{name}-adapter"), net.architecture, adapters, lora, name)
    jobs.append(job(tmp_path / name, tokenizer) | {"adapter": str(tmp_path / f"{name}-adapter")})
    models.append((name, weights.Pretrained(net.architecture, merged(policy), tokenizer)))
  for (name, model), asked, answer in zip(models, jobs, transformers(jobs), strict=True):
    check(f"{name}, by peft", model, asked, answer)


def test_folders_that_transformers_saved(transformers):
  loaded = {name: weights.load(os.path.join(DATA, name)) for name in FAMILIES}
  jobs = [job(os.path.join(DATA, name), model.tokenizer) for name, model in loaded.items()]
  for (name, model), asked, answer in zip(loaded.items(), jobs, transformers(jobs), strict=True):
    check(f"{name}, saved by transformers", model, asked, answer)


def test_a_tokenizer_of_characters(tmp_path, transformers):
  """A model trained from scratch has a tokenizer that others read as well."""
  tokenizer = CharacterTokenizer()
  net = toys.network(vocab_size=tokenizer.vocab_size)
  model = weights.Pretrained(net.architecture, toys.random_params(net), tokenizer)
  weights.save(str(tmp_path / "out"), model.architecture, model.params, tokenizer)
  asked = job(tmp_path / "out", tokenizer, chats=[])
  (answer,) = transformers([asked])
  check("characters", model, asked, answer)
  again = weights.load(str(tmp_path / "out"))
  assert again.architecture == model.architecture
  assert again.tokenizer.encode_chat(CHAT) == tokenizer.encode_chat(CHAT)
  assert again.tokenizer.decode([*tokenizer.encode(ASCII), *tokenizer.stop_ids]) == ASCII
  assert again.tokenizer.stop_ids == tokenizer.stop_ids
  with pytest.raises(config.ConfigError, match="cannot encode 'é'"):
    again.tokenizer.encode("é")
