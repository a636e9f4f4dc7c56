"""How many devices work on one run, and how."""

import dataclasses

from grpo_jax.config.fields import Config, ConfigError, field

MODES = ("single", "pmap", "mesh")


@dataclasses.dataclass(kw_only=True)
class Parallel(Config):
  """What each device holds.

  mode: "single", one device. "pmap", a copy of the state on every device, prompts split among them;
    each decodes until its own answers end. "mesh", one program over a mesh of devices: the state is
    split too.
  data, fsdp, tensor: devices along each axis of a mesh. Prompts are split over data and fsdp, the
    state over fsdp and tensor, the heads of a layer over tensor; data=0 is all that are left. Where
    data x fsdp is more than the prompts of a micro-batch, so are the answers of each prompt, every
    part with a copy of the prompt: that is how long answers are shared by many devices.
  sampling: devices, the last ones, that only sample, for stages with staleness; the others learn.
  """

  mode: str = field("single", choices=MODES)
  data: int = field(0, least=0)
  fsdp: int = field(1, least=1)
  tensor: int = field(1, least=1)
  sampling: int = field(0, least=0)

  def axes(self, devices: int) -> tuple[int, int, int]:
    """Sizes of data, fsdp and tensor over so many devices.

    Raises:
      ConfigError: they do not multiply out to `devices`.
    """
    inner = self.fsdp * self.tensor
    data = self.data or devices // inner
    if data * inner != devices:
      raise ConfigError(
        f"config.parallel: data={data} x fsdp={self.fsdp} x tensor={self.tensor} does not use all"
        f" of {devices} devices (data=0 takes those that are left)"
      )
    return data, self.fsdp, self.tensor

  def contradictions(self) -> list[str]:
    if self.sampling and self.mode == "pmap":
      return [f"sampling={self.sampling} is of mode='single' or 'mesh': pmap takes all devices"]
    if self.mode != "mesh" and (self.data, self.fsdp, self.tensor) != (0, 1, 1):
      return [
        f"data={self.data}, fsdp={self.fsdp}, tensor={self.tensor} are of mode='mesh', not"
        f" {self.mode!r}"
      ]
    return []
