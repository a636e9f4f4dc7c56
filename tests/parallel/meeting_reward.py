"""Rewards that raise."""


def raises(prompt, completion, fields):
  """On the first prompt only."""
  return 1 / min(fields["row"], 1)


def always(prompt, completion, fields):
  return fields["no such field"]
