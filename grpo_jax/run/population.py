"""A population: every member a whole run in a folder of its own, all of them in one program."""

import contextlib
import os
import threading
import traceback
from collections.abc import Callable, Sequence

import jax

from grpo_jax.config import ConfigError, Experiment, Population
from grpo_jax.parallel import Meeting, processes
from grpo_jax.parallel.members import StoppedError
from grpo_jax.run.loop import Shared, run
from grpo_jax.run.members import Result, make_members, table, varied_fields, write_results
from grpo_jax.run.policy import Policy, load_policy
from grpo_jax.run.record import claim


def run_population(
  experiment: Experiment,
  workdir: str,
  *,
  say: Callable[[str], None] = print,
  stages: Sequence[str] = (),
) -> list[Result]:
  """Runs what is left of all members of `experiment.population`; the same call resumes them.

  Each has its folder WORKDIR/member-000 and so on, which is that of a run of its own config: it can
  be resumed, evaluated and exported alone. What is said is of the first member that goes on; each
  one's own lines are in its log.txt. A member that fails ends alone.

  Args: as of `run.loop.run`.

  Raises:
    ConfigError: one line on what cannot be run, before anything is compiled.
    RuntimeError: all members have failed.
  """
  own = make_members(experiment)
  if experiment.parallel.mode != "single" or processes.count() > 1:
    raise ConfigError(
      f"config.population.size={len(own)} is of parallel.mode='single' and one process, not"
      f" {experiment.parallel.mode!r}"
    )
  with claim(workdir, experiment):
    policy = load_policy(experiment) if experiment.model.weights else None
    crew = _Crew(own, workdir, say, stages, policy, _meeting(experiment))
    crew.run()
  write_results(workdir, own, crew.results)
  for line in table(experiment.population, own, crew.results):
    say(line)
  say(f"next              python -m experiments.report {workdir}")
  if all(result.reason for result in crew.results):
    raise RuntimeError(f"all {len(own)} members have failed, the first: {crew.results[0].reason}")
  return crew.results


def _meeting(experiment: Experiment) -> Meeting:
  population: Population = experiment.population
  # The caches of a CPU hold one member's arrays, and its cores are busy with one.
  usual = 1 if jax.default_backend() == "cpu" else population.size
  return Meeting(population.size, varied_fields(population), population.together or usual)


class _Crew:
  """The members' threads."""

  def __init__(
    self,
    own: Sequence[Experiment],
    workdir: str,
    say: Callable[[str], None],
    stages: Sequence[str],
    policy: Policy | None,
    meeting: Meeting,
  ):
    self.results = [Result() for _ in own]
    self._own, self._workdir, self._say = own, workdir, say
    self._stages, self._policy, self._meeting = stages, policy, meeting
    self._left = set(range(len(own)))

  def run(self) -> None:
    """Until all members have ended."""
    threads = [threading.Thread(target=self._live, args=(m,)) for m in range(len(self._own))]
    for thread in threads:
      thread.start()
    try:
      self._meeting.serve()
    finally:
      for thread in threads:
        thread.join()

  def _live(self, index: int) -> None:
    """A member's whole life, in its own thread."""
    result, folder = self.results[index], os.path.join(self._workdir, f"member-{index:03d}")
    shared = Shared(self._meeting.member(index), self._policy)
    with contextlib.ExitStack() as stack:
      stack.callback(self._meeting.leave, index)
      stack.callback(self._left.discard, index)
      os.makedirs(folder, exist_ok=True)
      log = stack.enter_context(open(os.path.join(folder, "log.txt"), "a", encoding="utf-8"))

      def say(line: str) -> None:
        print(line, file=log, flush=True)
        if index == min(self._left):
          self._say(line)

      try:
        result.figures = run(self._own[index], folder, say=say, stages=self._stages, shared=shared)
      except StoppedError:
        result.reason = "stopped"
      except Exception as error:
        result.reason = " ".join(str(error).split()) or type(error).__name__
        traceback.print_exc(file=log)
        self._say(f"member {index} has failed: {result.reason}")
