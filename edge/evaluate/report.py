"""What every evaluation gives back: figures for a machine (`--json`) and tables for a person."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


class FormatError(ValueError):
    """A file is not in the format its command wants; the message names file, place and what is wrong."""


@dataclass(slots=True)
class Report:
    """`figures` go to the JSON file as they are; `tables` are (title, header, rows) for the screen."""

    figures: dict[str, Any]
    tables: list[tuple[str, Sequence[str], Sequence[Sequence[object]]]] = field(default_factory=list)

    def show(self) -> None:
        """Print all tables."""
        console = Console()
        for title, header, rows in self.tables:
            table = Table(title=Text(title), title_justify="left")
            for i, name in enumerate(header):
                table.add_column(Text(name), justify="left" if i == 0 else "right")
            for row in rows:
                table.add_row(
                    *(Text(_text(cell)) for cell in row)
                )  # names of a file may hold what rich takes for markup
            console.print(table)

    def write(self, path: Path) -> None:
        """Write the figures as JSON; a figure that is not finite becomes null."""
        path.write_text(
            json.dumps(_plain(self.figures), indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )


def writable(path: Path) -> None:
    """Raises OSError if a file could not be written there: better before hours of work than behind them."""
    there = path.exists()
    with path.open("a"):
        pass
    if not there:
        path.unlink()


def _text(cell: object) -> str:
    return f"{cell:.3f}" if isinstance(cell, float) else "" if cell is None else str(cell)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not (float("-inf") < value < float("inf")):
        return None
    return value
