"""Disk space held back, so that an alarm finds room when everything else has filled the disk."""

from __future__ import annotations

import os
from pathlib import Path


class Reserve:
    """A file of `size` bytes that is given up first and taken again when there is room."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size

    def held(self) -> bool:
        """Whether there is one."""
        return self._path.exists()

    def free(self) -> bool:
        """Give it up; False if there was none."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True

    def restore(self) -> bool:
        """Take it again, unless that would leave less than as much again; whether it is held now."""
        try:
            if self._path.exists() and self._path.stat().st_size >= self._size:
                return True
            free = os.statvfs(self._path.parent)
            if free.f_bavail * free.f_frsize < 2 * self._size:
                return False
            with self._path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self._size)
        except OSError:
            self._path.unlink(missing_ok=True)
            return False
        return True
