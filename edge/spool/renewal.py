"""A new spool file in place of a corrupt one: the old is set aside by name, what can be read of it moves over.

Every message that moves gets a place in the new epoch. A message that the cloud had stored but not yet acknowledged
is thereby sent twice under two places; it holds the same alarm id, or the same series and times, on which the cloud's
stores are idempotent.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import structlog

from edge.files import sync_folder
from edge.spool.errors import SpoolFull
from edge.spool.file import Gone, SpoolFile
from edge.spool.salvage import Wreck, open_wreck
from protocols.errors import ProtocolError
from protocols.wire import Lane, decode_alarm, decode_telemetry, encode

log = structlog.get_logger()

_PARTS = ("", "-wal", "-shm")
_KEPT = 2
"""Files set aside that are kept for whoever wants to look; older ones go."""


def _salvaging(path: Path) -> Path:
    return path.with_name(path.name + ".salvage")


def unfinished(path: Path) -> bool:
    """Whether a replacement was interrupted by a crash and must be repeated."""
    return _salvaging(path).exists()


def renew(path: Path) -> SpoolFile:
    """Set the file aside, begin a new one, move what is readable. Raises SpoolError if no new file can be made.

    A crash in between is repeated by the next start: the old file keeps the name `.salvage` until all has moved.
    """
    source = _salvaging(path)
    if not source.exists():
        for part in _PARTS[1:] + _PARTS[:1]:
            old = path.with_name(path.name + part)
            if old.exists():
                old.rename(source.with_name(source.name + part))
        sync_folder(path.parent)
    file = SpoolFile(path)
    wreck = open_wreck(source)
    try:
        moved = _nothing(file) if wreck is None else _move(wreck, file)
    except SpoolFull:
        moved = -1
    finally:
        if wreck is not None:
            wreck.db.close()
    aside = path.with_name(f"{path.name}.corrupt-{file.epoch}")
    for part in _PARTS[1:] + _PARTS[:1]:
        old = source.with_name(source.name + part)
        if old.exists():
            old.rename(aside.with_name(aside.name + part))
    sync_folder(path.parent)
    _keep_few(path)
    unreadable = 1 if wreck is None else wreck.unreadable
    log.critical("spool_renewed", set_aside=aside.name, epoch=file.epoch, moved=moved, unreadable=unreadable)
    return file


def _move(wreck: Wreck, file: SpoolFile) -> int:
    """Alarms in one transaction, then telemetry in another; each once, also after a crash. Returns messages moved."""
    moved = 0
    for name, lanes in (("alarms", (Lane.ALARM,)), ("telemetry", (Lane.LIVE, Lane.BACKLOG))):
        if file.meta(f"salvaged_{name}"):
            continue
        with file.transaction():
            if name == "alarms":
                for alarm_id, state in wreck.open_alarms():
                    file.add_open_alarm(alarm_id, state)
                file.db.executemany("INSERT OR IGNORE INTO seen_commands VALUES (?, ?)", wreck.commands())
            else:
                file.insert_readings(wreck.readings())
            for lane in lanes:
                moved += sum(_readdress(file, lane, body, wreck) for _, body in wreck.messages(lane))
            if wreck.unreadable:
                file.write_down(Gone("unreadable", 0.0, 0.0, wreck.unreadable, 0))
            file.note(f"salvaged_{name}", "1")
    return moved


def _nothing(file: SpoolFile) -> int:
    """Nothing of the old file can be read: how much it held is not known, but it is told that there was something."""
    with file.transaction():
        file.write_down(Gone("unreadable", 0.0, 0.0, 1, 0))
    return 0


def _readdress(file: SpoolFile, lane: Lane, body: bytes, wreck: Wreck) -> int:
    try:
        message = decode_alarm(body) if lane is Lane.ALARM else decode_telemetry(body)
    except ProtocolError:
        wreck.unreadable += 1
        return 0
    file.add(lane, lambda epoch, seq: encode(msgspec.structs.replace(message, epoch=epoch, seq=seq)))
    return 1


def _keep_few(path: Path) -> None:
    aside = [p for p in path.parent.glob(path.name + ".corrupt-*") if not p.name.endswith(_PARTS[1:])]
    for old in sorted(aside, key=lambda p: p.stat().st_mtime)[:-_KEPT]:
        for part in _PARTS:
            old.with_name(old.name + part).unlink(missing_ok=True)
