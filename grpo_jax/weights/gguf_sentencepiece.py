"""SentencePiece's byte-pair encoding of characters, as Gemma has it, from a GGUF's pieces.

Merges are not in the file: SentencePiece joins the neighbours whose joined piece has the highest
score, so that each way to cut a piece into two is a merge of its rank.
"""

from collections.abc import Sequence
from typing import Any

from grpo_jax.weights.errors import WeightsError
from grpo_jax.weights.tokenizer import added_token

_SPACE = "\u2581"
_UNKNOWN, _CONTROL, _USER_DEFINED, _BYTE = 2, 3, 4, 6  # token types of GGUF
# Of the squares of all pieces' lengths, for that is the work of cutting them. Gemma has 14 million.
_MOST_WORK = 200_000_000


def sentencepiece_json(
  metadata: dict[str, Any], tokens: list[str], types: list[int], special: dict[str, str]
) -> dict[str, Any]:
  """The tokenizer.json.

  Raises:
    WeightsError: there is not one score a token, cutting them would take too long, or the
      tokenizer puts a space before texts.
  """
  scores = metadata.get("tokenizer.ggml.scores", ())
  if len(scores) != len(tokens):
    raise WeightsError("tokenizer.ggml.scores are missing or not one a token")
  if metadata.get("tokenizer.ggml.add_space_prefix", True):
    raise WeightsError("tokenizer.ggml.add_space_prefix: a space before texts is not supported")
  bos = special.get("bos_token") if metadata.get("tokenizer.ggml.add_bos_token", True) else None
  return {
    "version": "1.0",
    "added_tokens": _added(tokens, types),
    "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE},
    "pre_tokenizer": None,
    "post_processor": None if bos is None else _first(bos, tokens.index(bos)),
    "decoder": {
      "type": "Sequence",
      "decoders": [
        {"type": "Replace", "pattern": {"String": _SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
      ],
    },
    "model": {
      "type": "BPE",
      "unk_token": special.get("unk_token"),
      "fuse_unk": True,
      "byte_fallback": _BYTE in types,
      "vocab": {token: index for index, token in enumerate(tokens)},
      "merges": _merges(tokens, types, scores),
    },
  }


def _added(tokens: list[str], types: list[int]) -> list[dict[str, Any]]:
  """Special tokens are cut out of a text as it is; user-defined pieces once it is normalised."""
  return [
    added_token(index, token, special=kind == _CONTROL, normalized=kind == _USER_DEFINED)
    for index, (token, kind) in enumerate(zip(tokens, types, strict=True))
    if kind in (_CONTROL, _USER_DEFINED)
  ]


def _merges(tokens: list[str], types: list[int], scores: Sequence[float]) -> list[list[str]]:
  """Pairs of pieces that make a piece, by its score; those of the same piece by their ids."""
  whole = (_UNKNOWN, _CONTROL, _BYTE)
  ids = {t: i for i, (t, kind) in enumerate(zip(tokens, types, strict=True)) if kind not in whole}
  if sum(len(token) ** 2 for token in ids) > _MOST_WORK:
    raise WeightsError("its tokenizer's pieces are too long to be cut")
  ranked = sorted(ids, key=lambda token: (-scores[ids[token]], ids[token]))
  merges = []
  for token in ranked:
    cuts = ((token[:n], token[n:]) for n in range(1, len(token)))
    known = [(left, right) for left, right in cuts if left in ids and right in ids]
    merges += sorted(known, key=lambda pair: (ids[pair[0]], ids[pair[1]]))
  return [[left, right] for left, right in merges]


def _first(token: str, index: int) -> dict[str, Any]:
  """Puts a token before a text, where special tokens are asked for."""
  before = {"SpecialToken": {"id": token, "type_id": 0}}
  pieces = [before, {"Sequence": {"id": "A", "type_id": 0}}]
  return {
    "type": "TemplateProcessing",
    "single": pieces,
    "pair": [*pieces, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {token: {"id": token, "ids": [index], "tokens": [token]}},
  }
