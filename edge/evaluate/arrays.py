"""Acceleration from an NPZ file, with errors that name the file and what is wrong with it."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from edge.evaluate.report import FormatError


def read_acceleration(path: Path) -> tuple[NDArray[np.float64], NDArray[Any] | None]:
    """Array `acc` (n, 3) in the file's unit, NaN where a value is not finite; and array `acc_t` as it is, if there.

    Raises FormatError, OSError.
    """
    arrays = _arrays(path)
    if "acc" not in arrays:
        raise FormatError(f"{path}: no array 'acc' (it has {', '.join(arrays) or 'none'})")
    raw = arrays["acc"]
    if raw.ndim != 2 or raw.shape[1] != 3 or raw.dtype.kind not in "iuf":
        raise FormatError(f"{path}: 'acc' must be numbers of shape (N, 3), it is {raw.dtype} {raw.shape}")
    acc: NDArray[np.float64] = raw.astype(np.float64)
    acc[~np.isfinite(acc)] = np.nan
    return acc, arrays.get("acc_t")


def typical_magnitude(acc: NDArray[Any]) -> float:
    """Median magnitude of (at most 200,000 evenly chosen of) the rows that are known; NaN if none is."""
    some = acc[:: max(1, len(acc) // 100_000)]
    known = some[~np.isnan(some).any(axis=1)]
    return float(np.median(np.linalg.norm(known, axis=1))) if len(known) else float("nan")


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """`acc` and `acc_t`; of the others only the names are of use."""
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if not isinstance(loaded, NpzFile):
                raise FormatError(f"{path}: a single array, not an NPZ file (numpy.savez makes one)")
            wanted = ("acc", "acc_t")
            return {name: loaded[name] if name in wanted else np.empty(0) for name in loaded.files}
    except FormatError:
        raise
    except (ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise FormatError(f"{path}: not an NPZ file of plain arrays ({error})") from None
