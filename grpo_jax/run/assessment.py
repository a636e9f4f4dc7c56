"""What a policy can do: greedy accuracy, mean@k, pass@k and maj@k on held-out problems."""

import dataclasses
import itertools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grpo_jax import tasks
from grpo_jax.config import GRPO, ConfigError, Experiment, OwnTask, Rollout, Task, check
from grpo_jax.config.named import read_task
from grpo_jax.isolated.pool import make_workers
from grpo_jax.parallel import make_devices
from grpo_jax.rewards import EPISODE, TASK
from grpo_jax.run.answering import Answered, answer_all
from grpo_jax.run.between import check_templates
from grpo_jax.run.checks import check_context, check_rewards, check_turns
from grpo_jax.run.chosen import LATEST, Chosen, choose, experiment_of
from grpo_jax.run.own_rewards import reward_files
from grpo_jax.run.record import environment
from grpo_jax.run.stage import Setting
from grpo_jax.run.standing import INTERVALS, figures_of, groups_of, votes_of
from grpo_jax.tasks import Example

_POWERS = (1, 2, 4, 8, 16)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
  """What is to be evaluated.

  checkpoint: as of `chosen.choose`.
  task: of another task than the run's, as `config.named.read_task` reads it; empty is the run's.
  reward: whose full marks count as right; empty is evaluation.reward, and of another task its own.
  problems, max_tokens, batch_size: None is as in config.evaluation; answers are written about
    batch_size at a time.
  samples: answers to each problem beside the greedy one; 0 for none. k: of pass@k and maj@k; empty
    is 1, 2, 4, 8, 16 as far as there are samples.
  temperature, top_k, top_p, min_p: of the samples. seed: of the samples and the intervals.
  """

  checkpoint: str = LATEST
  task: str = ""
  reward: str = ""
  problems: int | None = None
  samples: int = 16
  k: tuple[int, ...] = ()
  temperature: float = 1.0
  top_k: int = 0
  top_p: float = 1.0
  min_p: float = 0.0
  max_tokens: int | None = None
  batch_size: int | None = None
  seed: int = 0

  @property
  def ks(self) -> tuple[int, ...]:
    """The ks of pass@k and maj@k."""
    return self.k or tuple(k for k in _POWERS if k <= self.samples)


def evaluate(
  experiment: Experiment | None,
  workdir: str | None,
  asked: Asked,
  say: Callable[[str], None] = print,
  out: str = "",
) -> dict[str, Any]:
  """Evaluates a checkpoint of a run, or a model without one, and writes what was found.

  The run's own problems are those that it holds out while it trains. The same arguments give the
  same figures.

  Args:
    experiment: None is that of the run folder.
    workdir: the run folder; None is the model as the experiment begins with it.
    asked: what, and how much of it.
    say: is told how far it is.
    out: the file; empty is WORKDIR/evaluation-CHECKPOINT.json, with a number beside reports of
      other arguments, and none without a folder.

  Returns:
    What stands in the file, see BUILD.md, "Evaluating".

  Raises:
    ConfigError: one line on what cannot be evaluated.
  """
  _check(asked)
  whole = experiment_of(experiment, workdir)
  own = _as_asked(whole, asked)
  task = tasks.build(own.task)
  examples = _problems(task, own, asked)
  for line in task.notes:
    say(f"task: {line}")
  check_turns("config.evaluation", own.evaluation, task, (own.evaluation.reward,))
  chosen = choose(whole, workdir, asked.checkpoint)
  head = _report(own, chosen, workdir, asked)
  path = out or (_path(str(workdir), asked, head) if workdir else "")
  _check_path(path)  # before an hour of sampling
  greedy, sampled = _answered(own, chosen, task, examples, asked, say)
  report = head | _found(own, task, examples, greedy, sampled, asked)
  if path:
    _write(path, report)
    say(f"written to {path}")
  return report


def _check(asked: Asked) -> None:
  if not asked.samples:
    if asked.k:
      raise ConfigError(f"--k={','.join(map(str, asked.k))} is of sampled answers: --samples=0")
    return
  for k in asked.k:
    if not 1 <= k <= asked.samples:
      raise ConfigError(f"--k: {k} of --samples={asked.samples} answers: it must be from 1 to that")
  if asked.temperature == 0 or asked.top_k == 1:
    raise ConfigError(
      f"--temperature={asked.temperature:g}, --top_k={asked.top_k} is greedy: all samples of a"
      " problem would be one; --samples=0 is the greedy answer alone"
    )


def _as_asked(experiment: Experiment, asked: Asked) -> Experiment:
  """The experiment with the task and the sizes that are asked for, and no stage but a nominal one.

  Raises:
    ConfigError: names what cannot be evaluated so.
  """
  given = {name: getattr(asked, name) for name in ("problems", "max_tokens", "batch_size")}
  own = {name: value for name, value in given.items() if value is not None}
  evaluation = dataclasses.replace(experiment.evaluation, scores=(), **own)
  task: Task = experiment.task
  if asked.task:
    task = read_task(asked.task)
    if asked.task.endswith(".py"):
      assert isinstance(task, OwnTask)
      task = dataclasses.replace(task, held_out=evaluation.problems)
    evaluation.reward = TASK if task.own_rewards else EPISODE
  evaluation.reward = asked.reward or evaluation.reward
  check(task, "--task")
  check(evaluation, "config.evaluation")
  bare = dataclasses.replace(experiment, task=task, evaluation=evaluation, stages={})
  check_rewards(bare)
  return dataclasses.replace(bare, stages={"evaluation": GRPO()})


def _problems(task: tasks.Task, experiment: Experiment, asked: Asked) -> list[Example]:
  try:
    return task.held_out(experiment.evaluation.problems)
  except ConfigError as error:
    if asked.problems is None:
      raise
    raise ConfigError(str(error).replace("config.evaluation.problems", "--problems")) from error


def _answered(
  experiment: Experiment,
  chosen: Chosen,
  task: tasks.Task,
  examples: Sequence[Example],
  asked: Asked,
  say: Callable[[str], None],
) -> tuple[Answered, Answered | None]:
  """Greedy answers, and sampled ones where some are asked for."""
  policy, evaluation = chosen.policy, experiment.evaluation
  bare = dataclasses.replace(experiment, stages={})
  check_context(bare, policy.network.architecture.context_length)
  check_templates(bare, policy.tokenizer)
  devices = make_devices(experiment.parallel)
  network, params = devices.network(policy.network), devices.replicate(policy.params)
  workers = make_workers(experiment.scoring, os.devnull, reward_files(bare))
  setting = Setting(*(experiment, 0, network, policy.tokenizer, task, devices), workers=workers)
  turns = {
    name: getattr(evaluation, name) for name in ("max_tokens", "turns", "observation_tokens")
  }
  filters = {name: getattr(asked, name) for name in ("temperature", "top_k", "top_p", "min_p")}
  greedy = Rollout(group_size=1, temperature=0.0, **turns)
  sampled = Rollout(group_size=max(asked.samples, 1), **turns, **filters)
  check(sampled, "samples")
  rows = {"seed": asked.seed, "rows": evaluation.batch_size}

  def answers(name: str, sizes: Rollout) -> Answered:
    return answer_all(
      setting, sizes, params, examples, say=lambda line: say(f"{name}: {line}"), **rows
    )

  try:
    first = answers("greedy", greedy)
    return first, answers("sampled", sampled) if asked.samples else None
  finally:
    if workers is not None:
      workers.close()


def _found(
  experiment: Experiment,
  task: tasks.Task,
  examples: Sequence[Example],
  greedy: Answered,
  sampled: Answered | None,
  asked: Asked,
) -> dict[str, Any]:
  """The figures of all problems and of each group of them."""
  reward = experiment.evaluation.reward
  names = [(e.reward or task.reward) if reward == TASK else reward for e in examples]
  votes, notes = (None, []) if sampled is None else votes_of(names, sampled.texts, examples)
  figures = figures_of(greedy, sampled, votes, asked.ks, asked.seed)
  return {
    "intervals": INTERVALS,
    "figures": figures(range(len(examples))),
    "groups": {name: figures(rows) for name, rows in groups_of(examples).items()},
    "notes": notes,
  }


def _report(
  experiment: Experiment, chosen: Chosen, workdir: str | None, asked: Asked
) -> dict[str, Any]:
  evaluation = experiment.evaluation
  filters = ("samples", "temperature", "top_k", "top_p", "min_p", "seed")
  return {
    "workdir": workdir or "",
    "checkpoint": chosen.label,
    "stage": chosen.stage,
    "weights": experiment.model.weights,
    "task": {type(experiment.task).__name__: dataclasses.asdict(experiment.task)},
    "reward": evaluation.reward,
    "max_tokens": evaluation.max_tokens,
    "sampling": {name: getattr(asked, name) for name in filters},
    "environment": environment(),
  }


def _path(workdir: str, asked: Asked, head: Mapping[str, Any]) -> str:
  """WORKDIR/evaluation-CHECKPOINT.json, of another task with its name.

  A report of other arguments is not replaced: there a number follows.
  """
  other = os.path.basename(asked.task.partition("(")[0].strip()).removesuffix(".py")
  stem = "-".join(["evaluation", head["checkpoint"], *([other] if other else [])])
  places = (f"{stem}{'' if n == 1 else f'--{n}'}.json" for n in itertools.count(1))
  return next(path for path in (os.path.join(workdir, p) for p in places) if _free(path, head))


def _free(path: str, head: Mapping[str, Any]) -> bool:
  """Whether there is nothing yet, or a report of the same arguments."""
  try:
    with open(path, encoding="utf-8") as file:
      there = json.load(file)
  except FileNotFoundError:
    return True
  except (OSError, ValueError):
    return False
  same = json.loads(json.dumps(dict(head), default=str))
  names = head.keys() - {"environment", "workdir"}
  return isinstance(there, dict) and all(there.get(name) == same[name] for name in names)


def _check_path(path: str) -> None:
  """Refuses a file that could not be written."""
  folder = os.path.dirname(path) or "."
  if path and not os.path.isdir(folder):
    raise ConfigError(f"{path}: there is no folder {folder}")
  if path and not os.access(folder, os.W_OK):
    raise ConfigError(f"{path}: {folder} cannot be written: --out=FILE is another place")


def _write(path: str, report: dict[str, Any]) -> None:
  temporary = f"{path}.tmp"
  with open(temporary, "w", encoding="utf-8") as file:
    json.dump(report, file, indent=2, default=str)
    file.write("\n")
  os.replace(temporary, path)
