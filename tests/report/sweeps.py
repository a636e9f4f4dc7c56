"""Small made-up run folders and studies."""

import json
import os

from grpo_jax.report import sigmoid

LR, OBJECTIVE = "stages.grpo.optimizer.lr", "stages.grpo.loss.objective"
NASTY = "</script><script>document.title = 'taken'</script> & \"quoted\""


def run(folder, values, *, seed=0, every=10, step_s=2.0, before=(), fields=None):
  """metrics.jsonl of evaluations `values` at steps 0, every, 2 every, ..., and config.json."""
  os.makedirs(folder, exist_ok=True)
  lines = [{"stage": "sft", "step": step, "eval/accuracy": value} for step, value in before]
  for place, value in enumerate(values):
    for step in range(max((place - 1) * every, 0) + 1, place * every + 1):
      lines.append({"stage": "grpo", "step": step, "time/step_s": step_s, "groups/sampled": 8.0})
    if value is not None:
      lines.append({"stage": "grpo", "step": place * every, "eval/accuracy": value})
  with open(os.path.join(folder, "metrics.jsonl"), "w", encoding="utf-8") as file:
    file.writelines(json.dumps(line) + "\n" for line in lines)
  grpo = {"rollout": {"group_size": 4}, "optimizer": {"lr": 1e-3}} | (fields or {})
  stages = {"sft": {"steps": 5}, "grpo": grpo}
  with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
    json.dump({"config": {"seed": seed, "stages": stages}}, file)
  return str(folder)


def rising(ceiling, count=15, middle=40.0, shift=0.0):
  """Evaluations every 10 steps of a curve from 0.1, with a small ripple."""
  values = sigmoid.sigmoid([10 * n for n in range(count)], 0.1, ceiling + shift, 2.0, middle)
  return [float(v + 0.01 * (-1) ** n * (n > 0)) for n, v in enumerate(values)]


def study(folder, trials, *, direction="maximize", name="sums", storage=None, seeds=2):
  """A study of `trials`: (state, value, params, user attributes), each with run folders."""
  import optuna

  optuna.logging.set_verbosity(optuna.logging.ERROR)
  os.makedirs(folder, exist_ok=True)
  if storage is None:
    backend = optuna.storages.journal.JournalFileBackend(os.path.join(folder, "study.journal"))
    storage = optuna.storages.JournalStorage(backend)
  made = optuna.create_study(study_name=name, direction=direction, storage=storage)
  made.set_user_attr("objective", "eval/accuracy")
  spaces = {
    LR: optuna.distributions.FloatDistribution(1e-5, 1e-1, log=True),
    OBJECTIVE: optuna.distributions.CategoricalDistribution(["ppo_clip", "cispo"]),
  }
  for number, (state, value, params, attributes) in enumerate(trials):
    made.add_trial(
      optuna.trial.create_trial(
        state=optuna.trial.TrialState[state],
        value=value if state == "COMPLETE" else None,
        params=params,
        distributions={path: spaces[path] for path in params},
        user_attrs=attributes,
      )
    )
    for seed in range(seeds):
      ceiling = 0.3 if value is None else value + 0.05
      where = os.path.join(folder, "trials", f"{number:04d}", f"seed-{seed}")
      run(where, rising(ceiling, shift=0.01 * seed), seed=seed)
  return made


def small(folder):
  """Twelve completed trials, the best in the middle, one pruned and one failed, nasty words."""
  trials = []
  for number in range(12):
    value = 0.8 - 0.01 * (number - 6) ** 2 + (0.002 if number % 2 else 0)
    params = {LR: 10 ** (-5 + number / 3), OBJECTIVE: ("ppo_clip", "cispo")[number % 2]}
    words = {"command": f"python -m experiments.train --workdir='again {number}' # {NASTY}"}
    words |= {"scores": {"0": value - 0.01, "1": value + 0.01}, "values": params}
    words |= {"interval": [value - 0.02, value + 0.02]}
    trials.append(("COMPLETE", value, params, words))
  params = {LR: 1e-2, OBJECTIVE: "cispo"}
  trials.append(("PRUNED", None, params, {"reason": "predicted to end below the best"}))
  trials.append(("FAIL", None, params, {"reason": f"not finite {NASTY}"}))
  study(folder, trials)
  return str(folder)
