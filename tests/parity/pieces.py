"""SentencePiece itself on the pieces of a GGUF file: what our tokenizer of it is held against."""

import gguf
import sentencepiece
from sentencepiece import sentencepiece_model_pb2


def processor(path: str) -> sentencepiece.SentencePieceProcessor:
  """Byte-pair encoding with these pieces, which change no text but for its spaces."""
  fields = gguf.GGUFReader(path).fields
  tokens, scores, types = (
    fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "scores", "token_type")
  )
  model = sentencepiece_model_pb2.ModelProto()
  unknown = fields["tokenizer.ggml.unknown_token_id"].contents()
  for index, (token, score, kind) in enumerate(zip(tokens, scores, types, strict=True)):
    # The types of GGUF are SentencePiece's own; but it wants one that is unknown, and its space.
    piece, kind = token.replace(" ", "\u2581"), 2 if index == unknown else kind
    model.pieces.add(piece=piece, score=score, type=kind)
  model.trainer_spec.model_type = sentencepiece_model_pb2.TrainerSpec.BPE
  model.trainer_spec.byte_fallback = True
  for ours, theirs in (("unk", "unknown"), ("bos", "bos"), ("eos", "eos"), ("pad", "padding")):
    index = fields[f"tokenizer.ggml.{theirs}_token_id"].contents()
    setattr(model.trainer_spec, f"{ours}_id", index)
    setattr(model.trainer_spec, f"{ours}_piece", tokens[index])
  model.normalizer_spec.name = "identity"
  model.normalizer_spec.add_dummy_prefix = False
  model.normalizer_spec.remove_extra_whitespaces = False
  return sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
