"""Recording files that cannot be played are refused with file, trial and reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from firmware_sim import cli
from firmware_sim.recordings import RecordingError, load_trial, parse_trial

_HEAD = "trial,position,is_fall,acc_off,acc_n,acc_fs_est\n"


def _recording(folder: Path, rows: str, head: str = _HEAD) -> Path:
    file = folder / "r.npz"
    acc = np.tile(np.array([[0, 0, 1000]], np.int16), (400, 1))
    acc[200] = (0, 3000, 4000)
    np.savez(file, acc=acc)
    (folder / "r_index.csv").write_text(head + rows)
    return file


def test_a_trial_at_another_rate(tmp_path: Path) -> None:
    """40 Hz becomes 50 Hz, and the impact stays at its time."""
    trial = load_trial(_recording(tmp_path, "A,wrist,1,0,400,40.0\n"), "A")
    assert len(trial.samples) == 500
    assert trial.impact_s == pytest.approx(5.0, abs=0.03)
    assert (trial.position, trial.is_fall) == ("wrist", True)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("", "lacks the columns"),
        ("B,wrist,1,0,400,50\n", "has no trial 'A'"),
        ("A,wrist,1,0,4000,50\n", "are not in acc"),
        ("A,wrist,1,-5,40,50\n", "are not in acc"),
        ("A,wrist,1,zero,40,50\n", "invalid literal"),
        ("A,wrist,1,0,400,nan\n", "cannot be played"),
        ("A,wrist,1,0,400,0\n", "cannot be played"),
    ],
)
def test_refused(tmp_path: Path, rows: str, words: str) -> None:
    """Each names the file."""
    with pytest.raises(RecordingError, match=words) as caught:
        load_trial(_recording(tmp_path, rows), "A")
    assert str(tmp_path) in str(caught.value)


def test_not_a_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Garbage, a missing file, a wrong argument: one line, exit code 2."""
    file = _recording(tmp_path, "A,wrist,1,0,400,50\n")
    file.write_bytes(b"garbage")
    with pytest.raises(RecordingError, match="trial A"):
        load_trial(file, "A")
    assert cli.main(["replay", f"{tmp_path}/none.npz:A"]) == 2
    assert cli.main(["replay", "falls.csv:A"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert "must be FILE.npz:TRIAL" in errors[1]
    assert parse_trial("a/b.npz:F01/U01_R01") == (Path("a/b.npz"), "F01/U01_R01")
