"""The formulas of the project in float64 NumPy, one element at a time.

Written from the definitions and not from the code under test: slow loops that can be read beside
the paper. Nothing here is vectorised, jitted or clever on purpose.
"""

import math
from collections.abc import Callable

import numpy as np

# A group whose rewards differ by less than this share of the largest (or of 1) has no signal.
NO_SIGNAL = 1e-6


def group_advantages(
  rewards, *, baseline="mean", scale="group_std", ddof=0, eps=1e-6, lengths=None
) -> np.ndarray:
  """Advantages [P,G] of rewards [P,G]; a NaN reward is left out and has advantage 0."""
  rewards = np.asarray(rewards, np.float64)
  P, G = rewards.shape
  scored = [[g for g in range(G) if not math.isnan(rewards[p, g])] for p in range(P)]
  centred = {
    (p, g): rewards[p, g] - _baseline(p, g, rewards, scored[p], baseline, lengths)
    for p in range(P)
    for g in scored[p]
  }
  result = np.zeros((P, G))
  for p, g in centred:
    values = [rewards[p, j] for j in scored[p]]
    if _compared(baseline, scale) and _without_signal(values):
      continue
    result[p, g] = centred[p, g] / _divisor(values, list(centred.values()), scale, ddof, eps)
  return result


def _compared(baseline, scale) -> bool:
  """Whether an answer's advantage depends on the others of its group at all."""
  return baseline != "none" or scale == "group_std"


def _without_signal(values) -> bool:
  largest = max(1.0, *(abs(v) for v in values))
  return max(values) - min(values) <= NO_SIGNAL * largest


def _baseline(p, g, rewards, scored, baseline, lengths) -> float:
  if baseline == "none":
    return 0.0
  if baseline == "mean":
    return sum(rewards[p, j] for j in scored) / len(scored)
  if baseline == "leave_one_out":
    others = [j for j in scored if j != g]
    return sum(rewards[p, j] for j in others) / len(others) if others else 0.0
  assert baseline == "length_weighted"
  return sum(rewards[p, j] * lengths[p][j] for j in scored) / sum(lengths[p][j] for j in scored)


def _divisor(values, batch, scale, ddof, eps) -> float:
  if scale == "none":
    return 1.0
  if scale == "group_std":
    return std(values, ddof) + eps
  if scale == "batch_std":
    # Of what is left after the baseline, as Magistral has it: a prompt's own level is no spread.
    return std(batch, ddof) + eps
  assert scale == "group_mean"
  mean = sum(values) / len(values)
  return mean + eps if mean else math.inf


def std(values, ddof) -> float:
  """sqrt(sum((x - mean)^2) / (n - ddof))."""
  mean = sum(values) / len(values)
  return math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - ddof))


def kl_estimate(logprob, ref_logprob, kind) -> float:
  """Of one token, with x = log pi_ref - log pi."""
  x = ref_logprob - logprob
  return {"k1": -x, "k2": x * x / 2, "k3": math.exp(x) - x - 1}[kind]


def aggregate(values, mask, mode, length_budget=None) -> float:
  """One number of values [P,G,T] where mask is true; an answer without a token does not count."""
  P, G, T = np.shape(values)
  prompts = [[_kept(values[p][g], mask[p][g], T) for g in range(G)] for p in range(P)]
  answers = [answer for prompt in prompts for answer in prompt if answer]
  if not answers:
    return 0.0
  tokens = [value for answer in answers for value in answer]
  if mode == "token_mean":
    return sum(tokens) / len(tokens)
  if mode == "sequence_mean":
    return sum(sum(answer) / len(answer) for answer in answers) / len(answers)
  if mode == "sequence_sum":
    return sum(tokens) / len(answers)
  if mode == "constant":
    return sum(tokens) / (len(answers) * (length_budget or T))
  assert mode == "prompt_mean"
  means = []
  for prompt in prompts:
    own = [value for answer in prompt for value in answer]
    if own:
      means.append(sum(own) / len(own))
  return sum(means) / len(means)


def _kept(values, mask, T) -> list[float]:
  return [float(values[t]) for t in range(T) if mask[t]]


def policy_loss(
  logprobs,
  old_logprobs,
  advantages,
  mask,
  config,
  *,
  fixed_old=None,
  ref_logprobs=None,
  sampler_logprobs=None,
  entropy=None,
  finished=None,
  length_budget=None,
) -> float:
  """The loss of one optimiser batch, term by term.

  fixed_old: what the gradient does not flow through (the truncated weight's pi_old); old_logprobs
    itself by default.
  """
  P, G, T = np.shape(logprobs)
  weights_from = old_logprobs if fixed_old is None else fixed_old
  losses = np.zeros((P, G, T))
  kept = np.zeros((P, G, T), bool)
  for p, g, t in np.ndindex(P, G, T):
    kept[p, g, t] = mask[p][g][t] and (not config.mask_truncated or finished[p][g])
    if not kept[p, g, t]:
      continue
    loss = _objective(logprobs[p][g][t], old_logprobs[p][g][t], advantages[p][g], config)
    if config.sampler_correction == "truncate":
      w = math.exp(weights_from[p][g][t] - sampler_logprobs[p][g][t])
      loss *= min(w, config.sampler_cap)
    if config.kl_coefficient:
      kl = kl_estimate(logprobs[p][g][t], ref_logprobs[p][g][t], config.kl_estimator)
      loss += config.kl_coefficient * kl
    if config.entropy_coefficient:
      loss -= config.entropy_coefficient * entropy[p][g][t]
    losses[p, g, t] = loss
  return aggregate(losses, kept, config.aggregation, length_budget)


def _objective(logprob, old_logprob, advantage, config) -> float:
  if config.objective == "reinforce":
    return -advantage * logprob
  assert config.objective == "ppo_clip"
  ratio = math.exp(min(20.0, max(-20.0, logprob - old_logprob)))
  clipped = min(1 + config.clip_high, max(1 - config.clip_low, ratio))
  loss = -min(ratio * advantage, clipped * advantage)
  if config.dual_clip and advantage < 0:
    # In the paper's sign max(min(rA, clip(r)A), cA): the loss cannot exceed -cA.
    loss = min(loss, -config.dual_clip * advantage)
  return loss


def log_softmax(logits) -> np.ndarray:
  """log p of one row of logits, -inf allowed."""
  logits = np.asarray(logits, np.float64)
  largest = max(logits)
  total = sum(math.exp(x - largest) for x in logits)
  return np.array([x - largest - math.log(total) for x in logits])


def entropy(logits) -> float:
  """-sum p log p of one row, in nats."""
  return -sum(math.exp(x) * x for x in log_softmax(logits) if x > -math.inf)


def filtered_probabilities(logits, *, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0):
  """The distribution [V] that is sampled from one row of logits; no two of which may be equal."""
  V = len(logits)
  if temperature == 0:
    return np.array([float(v == int(np.argmax(logits))) for v in range(V)])
  p = np.exp(log_softmax([x / temperature for x in logits]))
  if top_k:
    best = sorted(range(V), key=lambda v: -p[v])[:top_k]
    p = _only(p, best)
  if top_p < 1:
    p = _only(p, _nucleus(p, top_p))
  if min_p:
    p = _only(p, [v for v in range(V) if p[v] >= min_p * max(p)])
  return p


def _nucleus(p, top_p) -> list[int]:
  kept, mass = [], 0.0
  for v in sorted(range(len(p)), key=lambda v: -p[v]):
    kept.append(v)
    mass += p[v]
    if mass >= top_p:
      break
  return kept


def _only(p, kept) -> np.ndarray:
  total = sum(p[v] for v in kept)
  return np.array([p[v] / total if v in kept else 0.0 for v in range(len(p))])


def learning_rate(
  step, *, kind, peak, floor=0.0, warmup_steps=0, stable_steps=0, decay_steps=0
) -> float:
  """The rate at `step`: linear rise to peak, plateau, fall to the absolute floor, floor."""
  if step < warmup_steps:
    return peak * step / warmup_steps
  if kind == "constant":
    return peak
  start = warmup_steps + stable_steps
  if step < start:
    return peak
  done = min(1.0, (step - start) / (decay_steps - start))
  if kind == "cosine":
    return floor + (peak - floor) * (1 + math.cos(math.pi * done)) / 2
  return floor + (peak - floor) * (1 - done)


def finite_differences(function: Callable, x, h=1e-5) -> np.ndarray:
  """The gradient of a scalar function at x, by central differences in float64."""
  x = np.array(x, np.float64)
  gradient = np.zeros_like(x)
  for index in np.ndindex(*x.shape):
    up, down = x.copy(), x.copy()
    up[index] += h
    down[index] -= h
    gradient[index] = (function(up) - function(down)) / (2 * h)
  return gradient
