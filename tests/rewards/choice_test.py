"""The letter in what a model wrote."""

import pytest

from grpo_jax.rewards import resolve

_FIELDS = {"answer": "B", "options": ["red", "blue", "green"]}


@pytest.mark.parametrize(
  "text",
  [
    "B", "b", " B. ", "(B)", "**B**", "B) blue", "The answer is B.", "Not A but B", "Answer: B!",
    "<answer>B</answer>", "A? <think>A</think><answer> b </answer>", "I think that it's B", "blue",
    "A and C are wrong, so B", "答案是 B", "B\n\nIt isn't I'm sure",
  ],
)  # fmt: skip
def test_right(text):
  assert resolve("choice")("", text, _FIELDS) == 1


@pytest.mark.parametrize(
  "text",
  [
    "", "A", "B or A", "ABC", "Blue", "Because", "the answer is b", "A B C", "B <answer>C</answer>",
    "D", "not sure", "red", "B" * 10_000, "<answer></answer>B",
  ],
)  # fmt: skip
def test_wrong(text):
  assert resolve("choice")("", text, _FIELDS) == 0
