"""What transformers makes of an exported folder: writes FOLDER/checked.json and checked.npy.

python check_export.py FOLDER   FOLDER/asked.json holds the messages and the ids to run.
"""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
import transformers


def main(folder: str) -> None:
  with open(os.path.join(folder, "asked.json"), encoding="utf-8") as file:
    asked = json.load(file)
  tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
  model, report = transformers.AutoModelForCausalLM.from_pretrained(
    folder, dtype=torch.float32, output_loading_info=True
  )
  text = tokenizer.apply_chat_template(
    asked["messages"], add_generation_prompt=True, tokenize=False
  )
  checked = {
    "class": type(model).__name__,
    # A weight of ours that transformers does not know, or one that it had to make up.
    "strangers": sorted(str(key) for kind in report.values() for key in kind),
    "chat": tokenizer(text, add_special_tokens=False)["input_ids"],
    "stops": model.generation_config.eos_token_id,
  }
  with open(os.path.join(folder, "checked.json"), "w", encoding="utf-8") as file:
    json.dump(checked, file)
  with torch.no_grad():
    logits = model.eval()(torch.tensor([asked["ids"]])).logits[0].numpy()
  np.save(os.path.join(folder, "checked.npy"), logits)


if __name__ == "__main__":
  main(sys.argv[1])
