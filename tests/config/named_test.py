"""A task in a flag."""

import pytest

from grpo_jax import config
from grpo_jax.config.named import read_task


@pytest.mark.parametrize(
  ("text", "wanted"),
  [
    ("Countdown", config.Countdown()),
    ("Addition()", config.Addition()),
    (
      "Addition(low=0, high=30, question='{a}, {b}=')",
      config.Addition(low=0, high=30, question="{a}, {b}="),
    ),
    ("my_task.py", config.OwnTask(file="my_task.py")),
    ("OwnTask(file='a.py', fields={'n': -1})", config.OwnTask(file="a.py", fields={"n": -1})),
    (
      "Curriculum(task=Addition(low=0), levels={'high': (9, 99)}, up=0.5)",
      config.Curriculum(task=config.Addition(low=0), levels={"high": (9, 99)}, up=0.5),
    ),
    (
      "Mixture(tasks={'a': Addition, 'b': Countdown(numbers=3)}, weights={'a': 2.0})",
      config.Mixture(
        tasks={"a": config.Addition(), "b": config.Countdown(numbers=3)}, weights={"a": 2.0}
      ),
    ),
  ],
)
def test_it_is_read_as_it_would_stand_in_an_experiment(text, wanted):
  assert read_task(text) == wanted


@pytest.mark.parametrize(
  ("text", "said"),
  [
    ("Adition", "did you mean 'Addition'?"),
    ("Experiment(seed=1)", "no task is 'Experiment'"),
    ("Addition(hgh=9)", "has no field 'hgh': did you mean 'high'?"),
    ("Addition(1, 2)", "is no literal of Python"),
    ("Addition(high=open('/etc/passwd'))", "is no literal of Python"),
    ("Addition(high=__import__('os').getpid())", "is no literal of Python"),
    ("Addition(**{'high': 9})", "has no field '**'"),
    ("Addition(", "expected a file as my_task.py"),
    ("7", "expected a file as my_task.py"),
    ("", "expected a file as my_task.py"),
    ("Curriculum()", "Curriculum: "),
    ("(" * 500 + ")" * 500, "expected a file as my_task.py"),
  ],
)
def test_what_cannot_be_read_is_one_line(text, said):
  with pytest.raises(config.ConfigError) as error:
    read_task(text)
  assert said in str(error.value)
  assert "\n" not in str(error.value)
