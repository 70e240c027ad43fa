"""Files written whole: content, mode, and what a power cut left beside them."""

from __future__ import annotations

from pathlib import Path

from edge.files import write_whole


def test_a_left_over_does_not_give_its_mode(tmp_path: Path) -> None:
    """A file left half written by an earlier cut, readable by all, is not what a key is written into."""
    secret = tmp_path / "key"
    beside = tmp_path / "key.new"
    beside.write_bytes(b"half")
    beside.chmod(0o644)
    write_whole(secret, b"whole", 0o600)
    assert (secret.read_bytes(), secret.stat().st_mode & 0o777) == (b"whole", 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
