"""Who may run a trial."""

from grpo_jax.sweep.locks import Locks, is_seen


def test_a_folder_has_one_owner_at_a_time(tmp_path):
  folder = str(tmp_path / "trials" / "0003")
  one, other = Locks(), Locks()
  assert one.take(3, folder)
  assert not other.take(3, folder)
  one.release(3)
  assert other.take(3, folder)
  other.close()
  assert one.take(3, folder)


def test_a_folder_is_known_by_its_token(tmp_path):
  locks = Locks()
  locks.take(0, str(tmp_path))
  locks.sign(str(tmp_path), "abc")
  assert is_seen(str(tmp_path), "abc")
  assert not is_seen(str(tmp_path), "abd")
  assert not is_seen(str(tmp_path / "other"), "abc")
