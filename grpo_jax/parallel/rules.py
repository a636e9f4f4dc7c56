"""Which axis of a mesh each dimension of a parameter is split over: one table, by name."""

from typing import Any

import jax
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from grpo_jax.config import Parallel

AXES = ("data", "fsdp", "tensor")
# Prompts are split over both: fsdp is data parallelism whose devices share one copy of the weights.
ROWS = ("data", "fsdp")

# Dimensions from the last one back; those before them (the stacked layers) are whole. Each weight
# is split once by `tensor`, along what its product leaves apart (heads, hidden units, vocabulary),
# and once by `fsdp`, along the width, which is gathered when its layer is computed.
Rules = dict[str, tuple[str | None, ...]]
RULES: Rules = {
  "embed": ("tensor", "fsdp"),
  "head": ("fsdp", "tensor"),
  "query": ("fsdp", "tensor", None),
  "key": ("fsdp", "tensor", None),
  "value": ("fsdp", "tensor", None),
  "output": ("tensor", None, "fsdp"),
  "query_bias": ("tensor", None),
  "key_bias": ("tensor", None),
  "value_bias": ("tensor", None),
  "gate": ("fsdp", "tensor"),
  "up": ("fsdp", "tensor"),
  "down": ("tensor", "fsdp"),
}
# As a layer's products read them: whole over fsdp.
GATHERED: Rules = {
  name: tuple(None if axis == "fsdp" else axis for axis in rule) for name, rule in RULES.items()
}
# As decoding lays them out, outputs first: whole over fsdp, for they are read at every token.
SERVED: Rules = {
  "head": ("tensor", None),
  "query": ("tensor", None, None),
  "key": ("tensor", None, None),
  "value": ("tensor", None, None),
  "output": (None, "tensor", None),
  "gate": ("tensor", None),
  "up": ("tensor", None),
  "down": (None, "tensor"),
}


def spec(
  mesh: Mesh | AbstractMesh, rules: Rules, name: str, shape: tuple[int, ...]
) -> PartitionSpec:
  """The rule of a parameter; a dimension that its axis does not divide stays whole.

  What has no rule (norms, counters, a scalar head) is whole, on every device.
  """
  rule = rules.get(name, ())
  if len(rule) > len(shape):
    return PartitionSpec()
  whole = (None,) * (len(shape) - len(rule)) + rule
  fits = (
    a if a and size % mesh.shape[a] == 0 else None for a, size in zip(whole, shape, strict=True)
  )
  return PartitionSpec(*fits)


def shardings(mesh: Mesh, tree: Any, rules: Rules = RULES) -> Any:
  """The sharding of each leaf by the name that ends its path: of parameters, moments, gradients."""

  def one(path: tuple, leaf: Any) -> NamedSharding:
    return NamedSharding(mesh, spec(mesh, rules, _name(path), leaf.shape))

  return jax.tree_util.tree_map_with_path(one, tree)


def _name(path: tuple) -> str:
  """The last key of a dict on the way to a leaf."""
  keys = [str(entry.key) for entry in path if hasattr(entry, "key")]
  return keys[-1] if keys else ""


def row_parts(mesh: Mesh | AbstractMesh) -> int:
  """Parts that prompts are split into."""
  return mesh.shape["data"] * mesh.shape["fsdp"]


def rows_sharding(mesh: Mesh, rows: int) -> NamedSharding:
  """Of arrays [rows, ...]: split, or whole where the devices do not divide their number."""
  split = rows % row_parts(mesh) == 0
  return NamedSharding(mesh, PartitionSpec(ROWS) if split else PartitionSpec())


def cuts(parts: int, prompts: int, group: int) -> int:
  """Parts that each of `prompts` groups is cut into, so that `parts` devices have equal work.

  1 where prompts alone suffice; 0 where neither they nor their answers can be split evenly.
  """
  if prompts % parts == 0:
    return 1
  return parts // prompts if parts % prompts == 0 and group % (parts // prompts) == 0 else 0


def table(config: Parallel, params: Any) -> str:
  """Each parameter with its shape, how it is split, and its share of float32 memory a device.

  The devices of `config` need not be there.
  """
  mesh = AbstractMesh((config.data or 1, config.fsdp, config.tensor), AXES)
  rows = [("parameter", "shape", "split over", "MB a device")]
  total = 0.0
  for path, leaf in jax.tree_util.tree_leaves_with_path(params):
    sharding = NamedSharding(mesh, spec(mesh, RULES, _name(path), leaf.shape))
    own = 4e-6
    for size in sharding.shard_shape(leaf.shape):
      own *= size
    total += own
    split = ", ".join(str(a or "-") for a in sharding.spec) or "whole"
    name = jax.tree_util.keystr(path, simple=True, separator=".")
    rows.append((name, "x".join(map(str, leaf.shape)), split, f"{own:.3f}"))
  rows.append(("all", "", "", f"{total:.3f}"))
  widths = [max(len(row[column]) for row in rows) for column in range(4)]
  return "\n".join(
    "  ".join(f"{x:<{w}}" for x, w in zip(row, widths, strict=True)).rstrip() for row in rows
  )
