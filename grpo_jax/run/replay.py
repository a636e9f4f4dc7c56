"""A step whose update was not finite, taken again: is it so again, and where does it come from."""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax import metrics as metrics_lib
from grpo_jax.config import GRPO, ConfigError, Experiment, check, freeze
from grpo_jax.parallel import make_devices
from grpo_jax.run import shapes
from grpo_jax.run.bad import BATCH, NOTE, named
from grpo_jax.run.checkpoint import changing
from grpo_jax.run.learn import make_learner
from grpo_jax.run.lowered import stage_update
from grpo_jax.run.params import is_there, read_params
from grpo_jax.run.policy import Policy, load_policy
from grpo_jax.run.record import read_config
from grpo_jax.run.stage import Setting
from grpo_jax.run.writer import finite
from grpo_jax.types import Params, TrainState

# Prompts that are named by their texts.
_MOST_SHOWN = 5


def replay(path: str, say: Callable[[str], None]) -> bool:
  """Takes the step again that a run has kept, by the run's config and this code.

  Args:
    path: WORKDIR/bad/STAGE/STEP, or a file in it.
    say: takes lines: the figures that are not as they were, what is not finite in parameters and
      batch, and the prompts that are enough by themselves.

  Returns:
    Whether the update is not finite again.

  Raises:
    ConfigError: there is no such folder, or it is of another version.
  """
  folder = os.path.abspath(path if os.path.isdir(path) else os.path.dirname(path))
  note = _note(folder, path)
  workdir = os.path.dirname(os.path.dirname(os.path.dirname(folder)))
  experiment = read_config(workdir)
  check(experiment)
  freeze(experiment)
  index = list(experiment.stages).index(note["stage"])
  policy, devices = load_policy(experiment), make_devices(experiment.parallel)
  network = devices.network(policy.network)
  setting = Setting(
    *(experiment, index, network, policy.tokenizer, cast(Any, None), devices, workdir)
  )
  state, batch = _state(setting, policy.params, folder), _batch(setting, folder)
  update = _update(setting, experiment)

  def again(batch: Any) -> dict[str, float]:
    copy = jax.tree.map(jnp.copy, state)  # the update may take its memory
    return update(devices.replicate(copy), batch)

  found = again(batch)
  for line in _compared(note, found) + _not_finite(state, batch):
    say(line)
  bad = found["train/nonfinite"] > 0
  for line in _alone(again, batch, policy) if bad else ():
    say(line)
  return bad


def _note(folder: str, path: str) -> dict[str, Any]:
  try:
    with open(os.path.join(folder, NOTE), encoding="utf-8") as file:
      return dict(json.load(file))
  except (OSError, ValueError) as error:
    raise ConfigError(
      f"{path}: no step is kept here ({type(error).__name__}: {NOTE}): name WORKDIR/bad/STAGE/STEP"
    ) from error


def _state(setting: Setting, params: Params, folder: str) -> TrainState:
  """The state that the step met, as one copy."""
  stage, name = setting.experiment.stages[setting.name], setting.name
  if not is_there(os.path.join(folder, "state")):
    raise ConfigError(f"{folder} has no state that could be read: the step cannot be taken again")
  base = os.path.join(setting.workdir, "base", name)
  if stage.lora.rank and is_there(base):
    params = read_params(base, params)
  _, init = stage_update(setting, stage)
  like = setting.devices.like(changing(jax.eval_shape(init, params)))
  frozen = setting.devices.init(init, params).frozen if stage.lora.rank else None
  return TrainState(**read_params(os.path.join(folder, "state"), like), frozen=frozen)


def _batch(setting: Setting, folder: str) -> Any:
  """What the stage's updates learn from, with the arrays of the file."""
  like = shapes.batch(setting.experiment.stages[setting.name], 8)
  with np.load(os.path.join(folder, BATCH), allow_pickle=False) as arrays:
    names = [name for name, _ in named(like)]
    if sorted(names) != sorted(arrays.files):
      raise ConfigError(f"{os.path.join(folder, BATCH)} has {arrays.files}, not {names}")
    return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in names])


def _update(
  setting: Setting, experiment: Experiment
) -> Callable[[TrainState, Any], dict[str, float]]:
  """Builds (state, batch) -> figures of all the updates of a step."""
  stage, devices = experiment.stages[setting.name], setting.devices

  def step(stage: Any) -> Callable:
    return stage_update(setting, stage)[0]

  if isinstance(stage, GRPO):
    learn = make_learner(setting, stage, step)
    return lambda state, batch: metrics_lib.read(learn(state, batch)[1])
  compiled = setting.program(step, stage, "update", donate=(0,))
  return lambda state, batch: metrics_lib.read(
    devices.first(compiled(state, devices.split(batch))[1])
  )


def _compared(note: dict[str, Any], found: dict[str, float]) -> list[str]:
  """Whether it went as it did then, and each figure that did not."""
  place, then = f"{note['stage']} step {note['step']}", note["figures"]
  said = "not finite" if found["train/nonfinite"] else "finite"
  other = [name for name in found if name in then and then[name] != finite(found[name])]
  same = f"{len(found) - len(other)} of {len(found)} figures as then"
  lines = [f"{place}: the update is {said}; {same}"]
  if not note["exact"]:
    lines.append("  later updates have moved the parameters since: figures may differ")
  return lines + [f"  {name} was {then[name]}, is {found[name]:.6g}" for name in other]


def _not_finite(state: TrainState, batch: Any) -> list[str]:
  """The arrays that hold something that is not finite."""
  lines = []
  for what, tree in {"parameters": state.params, "batch": batch}.items():
    leaves = [(name, np.asarray(jax.device_get(leaf))) for name, leaf in named(tree)]
    numbers = {name: leaf for name, leaf in leaves if leaf.dtype.kind == "f"}
    bad = {name: int((~np.isfinite(leaf)).sum()) for name, leaf in numbers.items()}
    said = [f"{name} ({count:,} numbers)" for name, count in bad.items() if count]
    largest = max(
      (np.abs(leaf[np.isfinite(leaf)]).max(initial=0) for leaf in numbers.values()), default=0
    )
    lines.append(f"{what}: not finite: {', '.join(said[:3]) or 'none'}; largest {largest:.3g}")
  return lines


def _alone(again: Callable[[Any], dict[str, float]], batch: Any, policy: Policy) -> Iterator[str]:
  """The rows whose own update is not finite: a batch of copies of each is tried."""
  rows = len(jax.tree.leaves(batch)[0])
  bad = []
  for row in range(rows):
    copies = jax.tree.map(lambda leaf, row=row: leaf[np.full(rows, row)], batch)
    if again(copies)["train/nonfinite"]:
      bad.append(row)
  yield f"by itself not finite: {len(bad)} of {rows} rows"
  for row in bad[:_MOST_SHOWN]:
    yield f"  row {row}: {_text(batch, row, policy)}"


def _text(batch: Any, row: int, policy: Policy) -> str:
  """A row's prompt, or the text that it is, in one line."""
  prompts = getattr(getattr(batch, "rollout", None), "prompts", None)
  prompts = batch[0] if isinstance(batch, tuple) else prompts
  tokens = batch.tokens[row] if prompts is None else prompts.tokens[row][prompts.mask[row]]
  text = policy.tokenizer.decode([int(token) for token in tokens])
  return repr(text if len(text) <= 200 else f"{text[:200]}...")
