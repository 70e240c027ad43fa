"""Reading tables: CSV and Parquet as rows of named text or numbers, with errors that name file, line and column."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from edge.evaluate.report import FormatError

MAX_CELL = 200

Row = dict[str, str]


def read_rows(path: Path, wanted: Iterable[str]) -> Iterator[tuple[int, Row]]:
    """(line number, row) of a .csv or .parquet file, one at a time; column names are stripped of spaces.

    Cells of a Parquet file become text as Python prints them, a missing one "". Raises FormatError when a wanted
    column is missing or the file cannot be read as what its ending says, OSError when it is not there.
    """
    rows = _parquet(path) if path.suffix == ".parquet" else _csv(path)
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


def number(path: Path, line: int, column: str, text: str) -> float | None:
    """The number in a cell; None when it is empty or NaN. Raises FormatError on anything else, infinity too."""
    if not text.strip() or text.strip().lower() in ("nan", "na", "null", "none"):
        return None
    try:
        value = float(text)
    except ValueError:
        raise FormatError(f"{path}:{line}: {column} is a number, got {text[:MAX_CELL]!r}") from None
    if not math.isfinite(value):
        raise FormatError(f"{path}:{line}: {column} is a finite number, got {text[:MAX_CELL]!r}")
    return value


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
