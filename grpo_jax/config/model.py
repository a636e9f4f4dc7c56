"""The model's config: where its weights come from, or its shape where they start at random."""

import dataclasses

from grpo_jax.config.fields import Config, field

DTYPES = ("float32", "bfloat16", "float16")
ACTIVATIONS = ("silu", "gelu_tanh")
TOKENIZERS = ("weights", "characters")
ATTENTIONS = ("auto", "blocks")


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class RopeScaling(Config):
  """Llama 3's stretching of low rotary frequencies; the names are those of Hugging Face."""

  factor: float = field(8.0, least=1)
  low_freq_factor: float = field(1.0, above=0)
  high_freq_factor: float = field(4.0, above=0)
  original_context_length: int = field(8192, least=1)

  def contradictions(self) -> list[str]:
    low, high = self.low_freq_factor, self.high_freq_factor
    return [f"low_freq_factor={low} must be below high_freq_factor={high}"] * (low >= high)


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Architecture(Config):
  """Shape of a decoder of the Llama, Qwen2, Qwen3, Mistral, SmolLM3 or Gemma 3 family.

  vocab_size: 0 is the size of the tokenizer.
  context_length: the longest prompt and answer together.
  qkv_bias: query, key and value have biases (Qwen2).
  qk_norm: queries and keys are normed, each head by itself (Qwen3, Gemma 3).
  sliding_window: tokens that a token sees in layers with a window, itself among them; 0 is no
    window (Mistral, Gemma 3).
  global_every: of so many layers the last has no window; 0 is that all have.
  window_rope_theta: the base of rotary embedding in layers with a window, where it is never
    scaled; 0 is that of all layers (Gemma 3).
  no_rope_every: of so many layers the last has no rotary embedding; 0 is that all have (SmolLM3).
  score_size: scores are divided by its root; 0 is head_size (Gemma 3).
  post_norms: what attention and feed-forward add is normed (Gemma 3).
  norms_add_one: norms multiply by 1 + weight (Gemma 3).
  scaled_embeddings: embeddings are multiplied by the root of hidden_size (Gemma 3).
  activation: of the gate: silu, or GELU by its tanh formula (Gemma 3).
  """

  vocab_size: int = field(0, least=0)
  hidden_size: int = field(128, least=1)
  layers: int = field(4, least=1)
  heads: int = field(4, least=1)
  kv_heads: int = field(4, least=1)
  head_size: int = field(32, least=2)
  ffn_size: int = field(384, least=1)
  context_length: int = field(2048, least=2)
  rope_theta: float = field(10000.0, above=0)
  rope_scaling: RopeScaling | None = None
  norm_eps: float = field(1e-5, above=0)
  tied_embeddings: bool = True
  qkv_bias: bool = False
  qk_norm: bool = False
  sliding_window: int = field(0, least=0)
  global_every: int = field(0, least=0)
  window_rope_theta: float = field(0.0, least=0)
  no_rope_every: int = field(0, least=0)
  score_size: int = field(0, least=0)
  post_norms: bool = False
  norms_add_one: bool = False
  scaled_embeddings: bool = False
  activation: str = field("silu", choices=ACTIVATIONS)

  def contradictions(self) -> list[str]:
    problems = [
      f"{name}={getattr(self, name)} is of layers with a window: set sliding_window"
      for name in ("global_every", "window_rope_theta")
      if getattr(self, name) and not self.sliding_window
    ]
    if self.global_every == 1:
      problems.append("global_every=1 leaves no layer with a window: set sliding_window=0")
    if self.heads % self.kv_heads:
      problems.append(f"heads={self.heads} must be a multiple of kv_heads={self.kv_heads}")
    if self.head_size % 2:
      problems.append(f"head_size={self.head_size} must be even: rotary embedding turns pairs")
    return problems


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Model(Config):
  """The policy.

  weights: a Hugging Face folder or a .gguf file; empty starts at random from `architecture`.
  tokenizer: "weights" is the one beside the weights; "characters" is one token a character.
  architecture: read where `weights` is empty; must be None otherwise.
  dtype: the compute type; parameters, optimiser, softmax and losses are float32 whatever it is.
  remat: recompute each layer in the backward pass; otherwise the outputs of its products with
    weights are kept, and only what is cheap is recomputed.
  unroll: layers written out in the compiled program for each turn of the loop over layers;
    0 is all of them: slower to compile, faster to run on a CPU.
  logprob_chunk: tokens whose logits exist at one time, in the forward and the backward pass.
  compactions: how often the batch of a decode step is halved as its answers end; each compiles the
    decode loop once more, so 0 starts soonest, and more is faster where lengths differ much.
  attention: "blocks" is the same everywhere; "auto" takes kernels that never write scores to memory
    where there are some: on NVIDIA GPUs, not in a mesh, for layers without windows; in training, by
    cuDNN, in a dtype of two bytes and for prompts no longer than answers.
  """

  weights: str = ""
  tokenizer: str = field("weights", choices=TOKENIZERS)
  architecture: Architecture | None = None
  dtype: str = field("float32", choices=DTYPES)
  remat: bool = True
  unroll: int = field(1, least=0)
  logprob_chunk: int = field(256, least=1)
  compactions: int = field(1, least=0, most=8)
  attention: str = field("auto", choices=ATTENTIONS)

  def contradictions(self) -> list[str]:
    if not self.weights and self.architecture is None:
      return ["weights is empty, so architecture=Architecture(...) must be given"]
    if self.weights and self.architecture is not None:
      return [f"weights={self.weights!r} brings its own architecture: leave architecture at None"]
    if self.weights and self.tokenizer != "weights":
      return [f"weights={self.weights!r} brings its own tokenizer: leave tokenizer at 'weights'"]
    if not self.weights and self.tokenizer == "weights":
      return ["weights is empty, so there is no tokenizer beside it: set tokenizer='characters'"]
    return []
