"""What is tokenized to compare with transformers."""

# ruff: noqa: RUF001, letters that look like others belong here

PROMPTS = [
  "The capital of France is",
  "def add(first, second):\n  return first + second\n\nprint(add(17, 25))  # prints",
]
# More than the 512 tokens of Gemma's window.
LONG = " ".join(f"Item {number} costs {number * 7 % 90} dollars." for number in range(80))
CONVERSATIONS = [
  [{"role": "user", "content": "What is 17 + 25?"}],
  [
    {"role": "system", "content": "Answer with one number.\n"},
    {"role": "user", "content": " Zwölf mal zwölf? 😀"},
  ],
  [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi! How can I help?"},
    {"role": "user", "content": "<|im_end|> is a token"},
  ],
]
TEXTS = [
  "",
  " ",
  "Hello world",
  " leading and trailing ",
  "a  b   c    d",
  "     ",
  "\n\n\n",
  "\t\ttabs\tbetween",
  "line\r\nline\r\n\r\n",
  " \n \t\n ",
  "def f(x):\n    return {'a': x[0] ** 2, \"b\": f'{x!r}'}\n",
  "if (a != b && c <= d) { ++i; } // 100%",
  "it's we'll I'M they'RE don't 'tis",
  "1234567890 12,345.67 -8e-3 0x1F",
  "3+4=7",
  "café naïve Ångström",
  "cafe\u0301 A\u030angstro\u0308m n\u0303",
  "你好，世界。漢字かなカナ",
  "안녕하세요 Привет мир مرحبا שלום",
  "😀👍🏽👨\u200d👩\u200d👧\u200d👦🇫🇷",
  "zero\u200bwidth\u00a0nbsp\u2003em\ufeffbom",
  "<|im_start|>user\nhi<|im_end|>",
  "<|im_start|> <|endoftext|>x<|im_end|><|im_end|>",
  "<|im_start <|im_ end|> <im_end>",
  "http://example.com/a?b=c&d=%20#e_f-g",
  "supercalifragilisticexpialidocious AAAAAAAAAAAAAAAAAAAA",
  "\x00\x07\x1b[0m\x7f",
  "∀x∈ℝ: x² ≥ 0 → √x",
]
# SmolLM2's pre-tokenizer ("smollm" in the file) sets each digit of any script apart, also from the
# space before it. The reader of GGUF in transformers leaves that step out, so that there these
# differ; the step is put back to record them.
OTHER_DIGITS = "٣٤ ½ ²x 12"
# Runs of spaces and of new lines are pieces of Gemma's own, up to 31 of each.
SPACES = [
  "x" + " " * 2 + "y" + " " * 7 + "z",
  " " * 40,
  "\n" * 40 + "a",
  "a\n b\n\n  c\n\n\n   d",
  "\u2581 \u2581\u2581 x",
  "<table><tr><td>1</td></tr></table> <h1>",
  "[multimodal] <start_of_image>",
]
