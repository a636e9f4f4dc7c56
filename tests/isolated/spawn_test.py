"""How worker processes begin."""

from grpo_jax.isolated.spawn import Spawn


class _Unreadable:
  """What cannot be read where a process begins, as where that of the run ends just then."""

  def __reduce__(self):
    return int, ("of another day",)


def test_what_a_process_says_before_its_first_call_is_in_the_log(tmp_path, capfd):
  process = Spawn(str(tmp_path / "log")).Process(target=print, args=(_Unreadable(),))
  process.start()
  process.join()
  assert process.exitcode == 1
  assert capfd.readouterr().err == ""
  assert "of another day" in (tmp_path / "log").read_text()
