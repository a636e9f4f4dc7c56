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
    batch = [rewards[at] for at in centred] if scale == "batch_reward_std" else centred.values()
    result[p, g] = centred[p, g] / _divisor(values, list(batch), scale, ddof, eps)
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
  if scale in ("batch_std", "batch_reward_std"):
    # batch_std is of what is left after the baseline, as Magistral has it: a prompt's own level is
    # no spread; batch_reward_std is TRL's.
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
  fixed=None,
  ref_logprobs=None,
  sampler_logprobs=None,
  entropy=None,
  finished=None,
  kept=None,
  length_budget=None,
) -> float:
  """The loss of one optimiser batch, term by term.

  fixed: (logprobs, old_logprobs) where the gradient does not flow: CISPO's weight, GSPO's ratio in
    its token form, the sampler's correction. The arguments themselves by default.
  """
  still, still_old = fixed if fixed is not None else (logprobs, old_logprobs)
  P, G, T = np.shape(logprobs)
  losses = np.zeros((P, G, T))
  counted = np.zeros((P, G, T), bool)
  for p, g in np.ndindex(P, G):
    tokens = [t for t in range(T) if mask[p][g][t]]
    if config.mask_truncated and not finished[p][g]:
      continue
    x = [_log_ratio(logprobs[p][g][t], old_logprobs[p][g][t]) for t in tokens]
    x_still = [_log_ratio(still[p][g][t], still_old[p][g][t]) for t in tokens]
    log_w = None
    if sampler_logprobs is not None:
      log_w = [still_old[p][g][t] - sampler_logprobs[p][g][t] for t in tokens]
    for i, t in enumerate(tokens):
      A = np.asarray(advantages)[p][g]
      A = A if np.ndim(A) == 0 else A[t]
      counted[p, g, t] = True
      own = (logprobs[p][g][t], still[p][g][t])
      loss = _objective(i, own, x, x_still, float(A), config)
      if config.entropy_top < 1 and not kept[p][g][t]:
        loss = 0.0
      if log_w is not None:
        loss *= _correction(i, log_w, config)
      if config.kl_coefficient and config.kl_place == "loss":
        kl = kl_estimate(logprobs[p][g][t], ref_logprobs[p][g][t], config.kl_estimator)
        loss += config.kl_coefficient * kl * (math.exp(x[i]) if config.kl_unbiased else 1.0)
      if config.entropy_coefficient:
        loss -= config.entropy_coefficient * entropy[p][g][t]
      losses[p, g, t] = loss
  return aggregate(losses, counted, config.aggregation, length_budget)


def _log_ratio(logprob, old_logprob) -> float:
  return min(20.0, max(-20.0, logprob - old_logprob))


def _objective(i, own, x, x_still, A, config) -> float:
  """The loss of token i of an answer whose log-ratios are x; own is its log-prob, moving and still.

  x_still: the same log-ratios where no gradient flows.
  """
  logprob, logprob_still = own
  name = config.objective
  if name == "reinforce":
    return -A * logprob
  if name == "ppo_clip":
    loss = _surrogate(math.exp(x[i]), A, config)
    # In the paper's sign max(min(rA, clip(r)A), cA): the loss cannot exceed -cA.
    return min(loss, -config.dual_clip * A) if config.dual_clip and A < 0 else loss
  if name == "cispo":
    weight = min(config.ratio_cap, max(config.ratio_floor, math.exp(x_still[i])))
    return -weight * A * logprob
  if name == "sapo":
    tau = config.tau_positive if A > 0 else config.tau_negative
    return -4 / tau / (1 + math.exp(-tau * (math.exp(x[i]) - 1))) * A
  if name == "gspo":
    return _surrogate(math.exp(sum(x) / len(x)), A, config)
  if name == "gspo_token":
    s = math.exp(sum(x_still) / len(x_still))
    return _surrogate(s * math.exp(logprob - logprob_still), A, config)
  assert name == "gmpo"
  bounded = [min(y, config.clip_high) if A > 0 else max(y, -config.clip_low) for y in x]
  return -math.exp(sum(bounded) / len(bounded)) * A


def _surrogate(ratio, A, config) -> float:
  clipped = min(1 + config.clip_high, max(1 - config.clip_low, ratio))
  return -min(ratio * A, clipped * A)


def _correction(i, log_w, config) -> float:
  """The weight of token i of an answer whose log pi_old/mu are log_w."""
  kind = config.sampler_correction
  if kind == "none":
    return 1.0
  if kind == "truncate":
    return min(math.exp(log_w[i]), config.sampler_cap)
  if kind == "icepop":
    w = math.exp(log_w[i])
    return w if config.sampler_floor <= w <= config.sampler_cap else 0.0
  assert kind == "sequence_mask"
  return 0.0 if math.exp(sum(log_w)) > config.sampler_sequence_cap else 1.0


def overlong_penalty(length, limit, buffer) -> float:
  """DAPO's soft penalty of one answer."""
  if length <= limit - buffer:
    return 0.0
  return (limit - buffer - length) / buffer if length <= limit else -1.0


def answer_returns(values, mask) -> np.ndarray:
  """At each token the sum of the unmasked values from there on: [P,G,T]."""
  P, G, T = np.shape(values)
  result = np.zeros((P, G, T))
  for p, g, t in np.ndindex(P, G, T):
    result[p, g, t] = sum(values[p][g][s] for s in range(t, T) if mask[p][g][s])
  return result


def normalized(values, mask, eps=1e-6, ddof=0) -> np.ndarray:
  """(x - mean) / (std + eps) of what is unmasked; 0 elsewhere, and where all are equal."""
  values, mask = np.asarray(values, np.float64), np.asarray(mask)
  result, inside = np.zeros(values.shape), [float(v) for v in values[mask]]
  if not inside or std(inside, 0) <= NO_SIGNAL * max(1.0, *(abs(v) for v in inside), 0.0):
    return result
  result[mask] = [(v - sum(inside) / len(inside)) / (std(inside, ddof) + eps) for v in inside]
  return result


def gdpo_advantages(parts, weights, eps=1e-6, ddof=0, **grouping) -> np.ndarray:
  """Each reward [P,G] of parts normalised in its groups, summed, then over the batch."""
  scored = ~np.isnan(np.asarray(parts, np.float64)).any(axis=0)
  total = np.zeros(scored.shape)
  for part, weight in zip(parts, weights, strict=True):
    part = np.where(scored, part, np.nan)
    total += weight * group_advantages(part, eps=eps, ddof=ddof, **grouping)
  heard = (np.abs(total) > 0).any(axis=1, keepdims=True)
  return np.where(heard, normalized(total, scored, eps, ddof), 0)


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
