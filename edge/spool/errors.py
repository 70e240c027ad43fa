"""What can go wrong with a spool: told apart by what helps."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

_CORRUPT, _NOTADB, _FULL, _IOERR, _READONLY = 11, 26, 13, 10, 8
"""Primary result codes of SQLite."""
_DAMAGED_SCHEMA = ("no such", "unsupported file format", "duplicate column", "table ", "Could not decode")
"""How what SQLite says begins where the description of the tables, or a text, is not what was written; it has no code
of its own. Our statements are the same on every file, so they cannot be what is wrong."""


class SpoolError(Exception):
    """The spool could not be opened or written; the message says which file and why."""


class SpoolFull(SpoolError):  # noqa: N818
    """The disk did not take it; room may help."""


class SpoolCorrupt(SpoolError):  # noqa: N818
    """The file contradicts itself; only a new one helps."""


def spool_error(path: Path, error: sqlite3.Error | OSError | UnicodeDecodeError) -> SpoolError:
    """The domain's error for one of SQLite or the operating system; names the file."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == _READONLY and os.access(path, os.W_OK):  # it is the file's own first page that says so
        return SpoolCorrupt(f"{path}: {error}")
    if code in (_CORRUPT, _NOTADB) or isinstance(error, UnicodeDecodeError) or str(error).startswith(_DAMAGED_SCHEMA):
        return SpoolCorrupt(f"{path}: {error}")
    return (SpoolFull if code in (_FULL, _IOERR) else SpoolError)(f"{path}: {error}")


def damaged(path: Path, what: str) -> SpoolCorrupt:
    """SQLite finds the file in order, but a check sum of our own does not agree."""
    return SpoolCorrupt(f"{path}: {what} is not what was written")
