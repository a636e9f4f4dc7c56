"""What transformers makes of folders and GGUF files, now: python live.py JOBS.json FOLDER.

JOBS.json lists {"path", "rows", "texts", "chats"}: a model, rows of token ids, texts and
conversations; where there is one, "adapter", a folder that peft puts on the model, and "begun", a
text that is tokenized with its special tokens. FOLDER receives NUMBER.npz, the logits of each row,
and NUMBER.json, token ids.
"""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import peft
import torch
import transformers


def main(jobs: str, folder: str) -> None:
  with open(jobs, encoding="utf-8") as file:
    listed = json.load(file)
  for number, job in enumerate(listed):
    path, options = job["path"], {}
    if path.endswith(".gguf"):
      path, options["gguf_file"] = os.path.split(path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(path, **options)
    model, report = transformers.AutoModelForCausalLM.from_pretrained(
      path, dtype=torch.float32, output_loading_info=True, **options
    )
    # transformers fills a weight that it does not find with noise, and goes on.
    assert not any(report.values()), report
    if "adapter" in job:
      model = peft.PeftModel.from_pretrained(model, job["adapter"])
    with torch.no_grad():
      logits = [model.eval()(torch.tensor([row])).logits[0].numpy() for row in job["rows"]]
    np.savez(os.path.join(folder, f"{number}.npz"), *logits)
    with open(os.path.join(folder, f"{number}.json"), "w", encoding="utf-8") as file:
      kind = {"class": type(model).__name__, "stops": _stops(model)}
      json.dump(_token_ids(tokenizer, job) | kind, file)


def _token_ids(tokenizer: transformers.PreTrainedTokenizerBase, job: dict) -> dict:
  return {
    "texts": [tokenizer(text, add_special_tokens=False)["input_ids"] for text in job["texts"]],
    # As people tokenize a prompt, with the token that comes first.
    "begun": tokenizer(job["begun"])["input_ids"] if "begun" in job else None,
    "chats": [
      tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
      for chat in job["chats"]
    ],
  }


def _stops(model: transformers.PreTrainedModel) -> list[int]:
  ids = model.generation_config.eos_token_id
  return ids if isinstance(ids, list) else [ids]


if __name__ == "__main__":
  main(*sys.argv[1:])
