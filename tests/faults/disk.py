"""A disk as a power cut leaves it: what strace saw a process do to files, and which of it may be missing.

Legal is more than any one file system does: writes to a file since its last sync may be there or not, sector by sector,
in any order; a file's length follows the writes that are there; names change in order, up to some point after the last
sync of their folder.
"""

from __future__ import annotations

import itertools
import random
import re
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512


@dataclass(frozen=True, slots=True)
class Said:
    """A line of the process's standard output."""

    text: str


@dataclass(frozen=True, slots=True)
class Open:
    """A name is opened; a file is created if there is none."""

    path: str
    truncate: bool


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at an offset."""

    path: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Resize:
    """The file's new length."""

    path: str
    length: int


@dataclass(frozen=True, slots=True)
class Sync:
    """A file or folder is on the disk."""

    path: str


@dataclass(frozen=True, slots=True)
class Rename:
    """A name changes."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Unlink:
    """A name goes."""

    path: str


Operation = Open | Write | Resize | Sync | Rename | Unlink


@dataclass(slots=True)
class _Inode:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes] | int] = field(default_factory=list)
    """Writes as (offset, data) and new lengths, since the last sync."""


class Disk:
    """Applies operations; `after_cut` draws what a power cut now would leave."""

    def __init__(self) -> None:
        self._names: dict[str, _Inode] = {}
        self._durable_names: dict[str, _Inode] = {}
        self._name_changes: list[dict[str, _Inode]] = []

    def apply(self, operation: Operation) -> None:
        """Carry out one operation in memory."""
        match operation:
            case Open(path, truncate):
                if path not in self._names:
                    self._change({**self._names, path: _Inode()})
                elif truncate:
                    self._names[path].pending.append(0)
            case Write(path, offset, data):
                self._names[path].pending.append((offset, data))
            case Resize(path, length):
                self._names[path].pending.append(length)
            case Sync(path) if path in self._names:
                inode = self._names[path]
                for change in inode.pending:
                    _put(inode.durable, change)
                inode.pending.clear()
            case Sync():
                self._durable_names = self._names
                self._name_changes.clear()
            case Rename(old, new):
                names = dict(self._names)
                names[new] = names.pop(old)
                self._change(names)
            case Unlink(path):
                self._change({name: inode for name, inode in self._names.items() if name != path})

    def after_cut(self, rng: random.Random, into: Path, root: Path) -> None:
        """Write one legal state of everything under `root` to the new folder `into`."""
        kept = rng.randint(0, len(self._name_changes))
        names = self._name_changes[kept - 1] if kept else self._durable_names
        into.mkdir()
        for name, inode in names.items():
            (into / Path(name).relative_to(root)).write_bytes(_torn(inode, rng))

    def _change(self, names: dict[str, _Inode]) -> None:
        self._names = names
        self._name_changes.append(names)


def _torn(inode: _Inode, rng: random.Random) -> bytes:
    """All, none, a first part, or any sectors of what was not synced."""
    content = bytearray(inode.durable)
    manner = rng.choice(("all", "none", "first", "any writes", "any sectors"))
    pending = list(inode.pending)
    if manner == "none":
        pending = []
    elif manner == "first":
        pending = pending[: rng.randint(0, len(pending))]
    elif manner == "any writes":
        pending = [change for change in pending if rng.random() < 0.5]
    for change in pending:
        if manner in ("all", "any writes") or isinstance(change, int):
            _put(content, change)
            continue
        for start, data in _sectors(*change):
            if manner == "first" or rng.random() < 0.5:
                _put(content, (start, data))
    if manner == "first" and pending and not isinstance(pending[-1], int):
        offset, data = pending[-1]
        cut = rng.randrange(len(data) // SECTOR + 1) * SECTOR
        content = bytearray(inode.durable)
        for change in (*pending[:-1], (offset, data[:cut])):
            _put(content, change)
    return bytes(content)


def _sectors(offset: int, data: bytes) -> list[tuple[int, bytes]]:
    edges = [offset, *range((offset // SECTOR + 1) * SECTOR, offset + len(data), SECTOR), offset + len(data)]
    return [(a, data[a - offset : b - offset]) for a, b in itertools.pairwise(edges)]


def _put(content: bytearray, change: tuple[int, bytes] | int) -> None:
    if isinstance(change, int):
        content[:] = content[:change].ljust(change, b"\0")
        return
    offset, data = change
    if offset + len(data) > len(content):
        content.extend(bytes(offset + len(data) - len(content)))
    content[offset : offset + len(data)] = data


_LINE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+)(?:<(.*?)>)?")
_UNFINISHED = re.compile(r"^(\d+) +(\w+\(.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$")
_PATH = re.compile(r'^(?:AT_FDCWD(?:<[^>]*>)?, )?"((?:\\x[0-9a-f]{2})*)"')
_FD = re.compile(r"^(\d+)<([^>]*)>(?:, )?(.*)$")
_DATA = re.compile(r'^"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?, (\d+)(?:, (\d+))?$')


def recording(log: Path, root: Path) -> list[Said | Operation]:
    """The operations on files under `root`, and what was said, in order, of a log by `strace -f -xx -y`.

    Raises ValueError for a line that touches `root` in a way that is not understood: a trial must not pass by
    overlooking something. SQLite's shared memory (`-shm`) is left out: it is rebuilt at every first opening.
    """
    operations: list[Said | Operation] = []
    offsets: dict[str, int] = {}
    waiting: dict[str, str] = {}
    for raw in log.read_text(errors="replace").splitlines():
        if unfinished := _UNFINISHED.match(raw):
            waiting[unfinished[1]] = unfinished[2]
            continue
        line = raw
        if resumed := _RESUMED.match(raw):
            line = f"{resumed[1]} {waiting.pop(resumed[1])}{resumed[2]}"
        match = _LINE.match(line)
        if match and int(match[4]) >= 0:
            operations += _operations(match[2], match[3], int(match[4]), str(root), offsets)
    return operations


def _operations(call: str, arguments: str, result: int, root: str, offsets: dict[str, int]) -> list[Said | Operation]:
    if call in ("openat", "unlink", "unlinkat", "rename"):
        return _of_names(call, arguments, root, offsets)
    found = _FD.match(arguments)
    if found is None:
        return []
    number, path, rest = found[1], _unescape(found[2]), found[3]
    if call == "write" and number == "1":
        return [Said(text) for text in _bytes(rest, result).decode().splitlines()]
    if not path.startswith(root) or path.endswith("-shm") or call == "close":
        return []
    if call in ("fsync", "fdatasync"):
        return [Sync(path)]
    if call == "ftruncate":
        return [Resize(path, int(rest))]
    if call == "fallocate":
        return [Resize(path, int(rest.rpartition(", ")[2]))]
    if call == "pwrite64":
        return [Write(path, int(rest.rpartition(", ")[2]), _bytes(rest, result))]
    if call == "write":
        offset = offsets.get(path, 0)
        offsets[path] = offset + result
        return [Write(path, offset, _bytes(rest, result))]
    raise ValueError(f"strace: {call} of {path} is not understood")


def _of_names(call: str, arguments: str, root: str, offsets: dict[str, int]) -> list[Said | Operation]:
    first = _PATH.match(arguments)
    path = _unescape(first[1]) if first else ""
    if not path.startswith(root) or path.endswith("-shm") or "O_DIRECTORY" in arguments:
        return []
    if call == "rename":
        new = re.findall(r'"((?:\\x[0-9a-f]{2})*)"', arguments)[1]
        return [Rename(path, _unescape(new))]
    if call != "openat":
        return [Unlink(path)]
    if "O_CREAT" not in arguments:
        return []
    offsets[path] = 0
    return [Open(path, "O_TRUNC" in arguments)]


def _bytes(rest: str, length: int) -> bytes:
    data = _DATA.match(rest)
    if data is None or data[2]:
        raise ValueError(f"strace: data not understood: {rest[:80]}")
    return bytes.fromhex(data[1].replace("\\x", ""))[:length]


def _unescape(text: str) -> str:
    return re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), text)
