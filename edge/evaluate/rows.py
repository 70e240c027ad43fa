"""Reading tables: CSV and Parquet as rows of named text or numbers, with errors that name file, line and column."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from edge.evaluate.report import FormatError

MAX_CELL = 200
EARLIEST_S, LATEST_S = -6e10, 1e11
"""Years 69 to 5138: what lies outside is no time, or one in another unit."""
_MISSING = frozenset({"", "nan", "na", "n/a", "null", "none", "<na>"})
_FLAGS = dict.fromkeys(("0", "0.0", "false", "f", "no", "n"), False)
_FLAGS |= dict.fromkeys(("1", "1.0", "true", "t", "yes", "y"), True)

Row = dict[str, str]


def read_rows(path: Path, wanted: Iterable[str]) -> Iterator[tuple[int, Row]]:
    """(line number, row) of a .csv or .parquet file, one at a time; column names are stripped of spaces.

    Cells of a Parquet file become text as Python prints them, a missing one "". Raises FormatError when a wanted
    column is missing or the file cannot be read as what its ending says, OSError when it is not there.
    """
    rows = _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)
    needed = set(wanted)
    first = True
    for line, row in rows:
        if first:
            missing = needed - row.keys()
            if missing:
                raise FormatError(f"{path}: no column {', '.join(sorted(missing))}; it has {', '.join(row)[:MAX_CELL]}")
            first = False
        yield line, row
    if first:
        raise FormatError(f"{path}: there are no rows")


def number(path: Path, line: int, column: str, text: str, *, of_sensor: bool = False) -> float | None:
    """The number in a cell; None when it is empty or NaN, or, `of_sensor`, infinite: how some write a lost sample.
    Raises FormatError on anything else.
    """
    if text.strip().lower() in _MISSING:
        return None
    try:
        value = float(text)
    except ValueError:
        raise FormatError(f"{path}:{line}: {column} is a number, got {text[:MAX_CELL]!r}") from None
    if math.isfinite(value):
        return value
    if of_sensor:
        return None
    raise FormatError(f"{path}:{line}: {column} is a finite number, got {text[:MAX_CELL]!r}")


def moment(path: Path, line: int, column: str, text: str, zone: tzinfo = UTC, fold: int = 0) -> float:
    """Unix seconds of a time stamp: a number (of seconds, or where it is too large for these of milli-, micro- or
    nanoseconds), or a date and time, of `zone` unless it names its own (`fold` 1: where the clock repeats an hour, the
    second time). Raises FormatError.
    """
    text = text.strip()
    try:
        read = [float(text) / unit for unit in (1.0, 1e3, 1e6, 1e9)]
    except ValueError:
        read = _by_calendar(text, zone, fold)
    for value in read:
        if EARLIEST_S <= value <= LATEST_S:
            return value
    raise FormatError(f"{path}:{line}: {column} is Unix seconds or a date and time, got {text[:MAX_CELL]!r}")


def time_zone(option: str, name: str) -> ZoneInfo:
    """The zone that an option names. Raises FormatError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise FormatError(f"{option}: there is no time zone {name!r}") from None


def _by_calendar(text: str, zone: tzinfo, fold: int) -> list[float]:
    try:
        time = datetime.fromisoformat(text)
        return [(time if time.tzinfo else time.replace(tzinfo=zone, fold=fold)).timestamp()]
    except (ValueError, OverflowError):
        return []


def text(cell: str) -> str:
    """What stands in a cell; "" when it is missing, however that was written."""
    return "" if cell.strip().lower() in _MISSING else cell.strip()


def flag(path: Path, line: int, column: str, text: str) -> bool | None:
    """The truth in a cell; None when it is empty or NaN. Raises FormatError on anything but 0, 1, true, false,
    yes, no.
    """
    text = text.strip().lower()
    if text in _MISSING:
        return None
    if text not in _FLAGS:
        raise FormatError(f"{path}:{line}: {column} is 0 or 1, got {text[:MAX_CELL]!r}")
    return _FLAGS[text]


def _csv(path: Path) -> Iterator[tuple[int, Row]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames is None:
                raise FormatError(f"{path}: it is empty")
            reader.fieldnames = [name.strip() for name in reader.fieldnames]
            for row in reader:
                if None in row or None in row.values():
                    raise FormatError(f"{path}:{reader.line_num}: it has not {len(reader.fieldnames)} columns")
                yield reader.line_num, row
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path}: not a CSV file in UTF-8 ({error})") from None


def _parquet(path: Path) -> Iterator[tuple[int, Row]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise FormatError(f"{path}: reading Parquet wants the extra [evaluate] (pyarrow)") from None
    try:
        with path.open("rb") as file:
            line = 0
            for part in pyarrow.parquet.ParquetFile(file).iter_batches():
                columns = {name: part.column(name).to_pylist() for name in part.schema.names}
                for i in range(part.num_rows):
                    line += 1
                    yield line, {n: "" if c[i] is None else str(c[i]) for n, c in columns.items()}
    except pyarrow.ArrowException as error:
        raise FormatError(f"{path}: not a Parquet file ({error})") from None
