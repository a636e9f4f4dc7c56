"""A task in a file: what it has to give, and every fault in one line."""

import pytest

from grpo_jax import config, tasks
from grpo_jax.config import ConfigError, OwnTask

_GOOD = """
import random
def sample(seed, step, count, top=50):
  draw = random.Random(f"{seed}/{step}")
  return [ask(draw.randrange(top)) for _ in range(count)]
def held_out(count, top=50):
  return [ask(n) for n in range(count)]
def ask(n):
  return {"question": f"Twice {n}?", "answer": 2 * n, "half": n, "solution": str(2 * n)}
"""


@pytest.fixture
def own(tmp_path):
  def make(text, **fields) -> OwnTask:
    path = tmp_path / f"task{len(list(tmp_path.iterdir()))}.py"
    path.write_text(text)
    return OwnTask(file=str(path), **{"held_out": 5, **fields})

  return make


def test_its_questions_are_asked_with_their_fields(own):
  task = tasks.build(own(_GOOD, fields={"top": 9}, system="Be brief.", reward="exact"))
  (first, *_) = examples = task.sample(1, 2, 20)
  assert examples == task.sample(1, 2, 20) != task.sample(1, 3, 20)
  assert first.messages[0] == {"role": "system", "content": "Be brief."}
  assert first.fields == {"answer": 2 * first.fields["half"], "half": first.fields["half"]}
  assert first.solution == str(first.fields["answer"])
  assert max(e.fields["half"] for e in examples) == 8
  assert task.reward == "exact"


def test_held_out_questions_are_not_trained_on(own):
  task = tasks.build(own(_GOOD))
  assert [e.question for e in task.held_out(2)] == ["Twice 0?", "Twice 1?"]
  asked = {e.question for step in range(60) for e in task.sample(0, step, 10)}
  assert asked == {f"Twice {n}?" for n in range(5, 50)}
  with pytest.raises(ConfigError, match=r"problems=6: config.task.held_out=5"):
    task.held_out(6)
  task = tasks.build(own(_GOOD, fields={"top": 5}))
  with pytest.raises(ConfigError, match="which is held out, and 50 other draws"):
    task.sample(0, 0, 1)


_HOLDS = "def held_out(count):\n  return [{'question': f'h{i}'} for i in range(count)]\n"


@pytest.mark.parametrize(
  ("sample", "said"),
  [
    ("", "has no function 'sample'"),
    ("sample = 3", "has no function 'sample'"),
    ("import nothing_of_this_name", "fails on import: ModuleNotFoundError"),
    ("def sample(seed, step):\n  return []", r"sample\(0, 0, 2\) raises TypeError"),
    ("def sample(seed, step, count):\n  raise SystemExit", "raises SystemExit"),
    ("def sample(seed, step, count):\n  return None", "gives NoneType: expected a list of 2 dicts"),
    ("def sample(seed, step, count):\n  return [{'question': 'a'}]", "gives a list of 1"),
    ("def sample(seed, step, count):\n  return ['a'] * count", r"\[0\] is no dict .* but str"),
    (
      "def sample(seed, step, count):\n  return [{'q': 'a'}] * count",
      "no text in 'question'; .*'q'",
    ),
    (
      "def sample(seed, step, count):\n  return [{'question': ' '}] * count",
      "no text in 'question'",
    ),
    (
      "def sample(seed, step, count):\n  return [{'question': 'a', 'solution': 3}] * count",
      r"\['solution'\] is no text, but int",
    ),
    (
      "def sample(seed, step, count):\n  return [{'messages': [{'role': 'user'}]}] * count",
      r"\['messages'\] must be a list",
    ),
    (
      "import random\ndef sample(seed, step, count):\n"
      "  return [{'question': str(random.random())} for _ in range(count)]",
      "gives other questions the second time",
    ),
  ],
)
def test_each_fault_is_one_line(own, sample, said):
  with pytest.raises(ConfigError, match=said) as error:
    tasks.build(own(f"{sample}\n{_HOLDS}"))
  assert "\n" not in str(error.value)


def test_a_file_that_is_not_there():
  with pytest.raises(ConfigError, match=r"config.task.file: there is no file nothing.py"):
    tasks.build(config.OwnTask(file="nothing.py"))


def test_chats_may_be_asked(own):
  turns = "[{'role': 'user', 'content': 'a'}, {'role': 'assistant', 'content': 'b'}, "
  turns += "{'role': 'user', 'content': str(step)}]"
  text = f"def sample(seed, step, count):\n  return [{{'messages': {turns}}}] * count\n{_HOLDS}"
  (example,) = tasks.build(own(text)).sample(0, 7, 1)
  assert example.question == "7"
  assert len(example.messages) == 3


_GAME = """
def sample(seed, step, count):
  return [ask((seed + step + n) % 3) for n in range(count)]
def held_out(count):
  return [ask(n % 3) for n in range(count)]
def ask(n):
  return {"question": "Count down.", "left": n + 1, "turns": ["1"] * (n + 1)}
class Counter:
  def reset(self, fields):
    self.left = fields["left"]
  def step(self, text):
    self.left -= int(text)
    return f"{self.left} left", float(not self.left), self.left <= 0
"""


def test_a_class_of_the_file_makes_it_an_environment(own):
  """All questions are one: nothing is kept apart."""
  config = own(_GAME, environment="Counter")
  task = tasks.build(config)
  (example,) = task.sample(0, 1, 1)
  assert (example.fields["left"], example.turns) == (2, ("1", "1"))
  episode = task.reset(example)
  assert (episode.path, episode.name, episode.fields["left"]) == (config.file, "Counter", 2)
  assert config.own_rewards == ()


def test_an_environment_that_is_none_is_one_line(own):
  with pytest.raises(ConfigError, match="Game': has no such class"):
    tasks.build(own(_GAME, environment="Game"))
  with pytest.raises(ConfigError, match=r"\['turns'\] must be a list of texts"):
    tasks.build(own(_GAME.replace('["1"]', "[1]"), environment="Counter"))
