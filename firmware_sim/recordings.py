"""Trials of fall recordings as a wearable would have felt them.

A recording is NAME.npz with `acc` (int16, milli-g, shape (n, 3)) and NAME_index.csv beside it with the columns trial,
acc_off, acc_n and acc_fs_est, as the fall data sets SisFall and WEDA-FALL are kept.
"""

from __future__ import annotations

import csv
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from firmware_sim.signals import RATE_HZ, Samples

_MAX_TRIAL_S = 600.0


class RecordingError(ValueError):
    """The recording cannot be played; the message names file, trial and what is wrong."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial at 50 Hz; `impact_s` is the moment of its largest magnitude."""

    name: str
    position: str
    is_fall: bool
    samples: Samples
    impact_s: float


def trial_names(file: Path) -> list[dict[str, str]]:
    """The rows of the recording's index. Raises RecordingError."""
    index = file.with_name(f"{file.stem}_index.csv")
    try:
        with index.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(f"{index}: {error}") from None
    missing = {"trial", "acc_off", "acc_n", "acc_fs_est"} - set(rows[0] if rows else ())
    if missing:
        raise RecordingError(f"{index}: lacks the columns {', '.join(sorted(missing))}")
    return rows


def load_trial(file: Path, name: str) -> Trial:
    """Read one trial and bring it to 50 Hz. Raises RecordingError."""
    row = next((row for row in trial_names(file) if row["trial"] == name), None)
    if row is None:
        raise RecordingError(f"{file}: has no trial {name!r}")
    try:
        start, count, rate = int(row["acc_off"]), int(row["acc_n"]), float(row["acc_fs_est"])
        with np.load(file, allow_pickle=False) as arrays:
            acc = arrays["acc"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RecordingError(f"{file}: trial {name}: {error}") from None
    if acc.ndim != 2 or acc.shape[1] != 3 or start < 0 or count < 2 or start + count > len(acc):
        raise RecordingError(f"{file}: trial {name}: rows {start} to {start + count} are not in acc {acc.shape}")
    if not (math.isfinite(rate) and 5 <= rate <= 1000) or count / rate > _MAX_TRIAL_S:
        raise RecordingError(f"{file}: trial {name}: {count} rows at {rate} Hz cannot be played")
    g = acc[start : start + count].astype(np.float64) / 1000
    if abs(rate - RATE_HZ) > 0.5:
        wanted = np.arange(int(count / rate * RATE_HZ)) / RATE_HZ
        g = np.stack([np.interp(wanted, np.arange(count) / rate, g[:, axis]) for axis in range(3)], axis=1)
    impact = int(np.argmax(np.linalg.norm(g, axis=1)))
    is_fall = row.get("is_fall", "").lower() in ("1", "true")
    return Trial(name, row.get("position", "wrist"), is_fall, g, impact / RATE_HZ)


def parse_trial(text: str) -> tuple[Path, str]:
    """FILE:TRIAL of a command line. Raises RecordingError."""
    file, colon, trial = text.partition(".npz:")
    if not colon or not trial:
        raise RecordingError(f"{text}: must be FILE.npz:TRIAL")
    return Path(f"{file}.npz"), trial
