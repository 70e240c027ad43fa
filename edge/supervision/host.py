"""What is wrong with the gateway itself: disk, memory, heat, mains, home broker. Judging is pure; `look` reads."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from edge.supervision import limits
from protocols.faults import Fault


@dataclass(frozen=True, slots=True)
class Host:
    """One look at the machine; None where it does not say."""

    disk_free: float | None = None
    memory_free: float | None = None
    temperature: float | None = None
    mains: bool | None = None


def look(data: Path, sys: Path = Path("/sys/class"), proc: Path = Path("/proc")) -> Host:
    """Read the machine; what is missing or unreadable is None."""
    return Host(_disk(data), _memory(proc / "meminfo"), _heat(sys / "thermal"), _mains(sys / "power_supply"))


def judge(host: Host, broker_lost_s: float, holding: set[Fault]) -> set[Fault]:
    """What holds now, given what held before; what the machine does not say keeps its state."""
    found: set[Fault] = {Fault.HOME_BROKER_LOST} if broker_lost_s > limits.BROKER_LOST_S else set()
    measured = (
        (Fault.DISK_FILLING, host.disk_free, limits.DISK_FREE),
        (Fault.MEMORY_SHORT, host.memory_free, limits.MEMORY_FREE),
        (Fault.TOO_HOT, host.temperature, limits.TEMPERATURE_CEL),
    )
    for fault, value, band in measured:
        if fault in holding if value is None else band.judge(value, fault in holding):
            found.add(fault)
    if host.mains is False:
        found.add(Fault.MAINS_LOST)
    return found


def _disk(path: Path) -> float | None:
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return None
    return usage.free / usage.total if usage.total else None


def _memory(path: Path) -> float | None:
    try:
        rows = dict(line.split(":", 1) for line in path.read_text(encoding="ascii").splitlines() if ":" in line)
        return int(rows["MemAvailable"].split()[0]) / int(rows["MemTotal"].split()[0])
    except (OSError, KeyError, ValueError, ZeroDivisionError):
        return None


def _heat(path: Path) -> float | None:
    try:
        return max(int(zone.read_text(encoding="ascii")) / 1000 for zone in path.glob("thermal_zone*/temp"))
    except (OSError, ValueError):
        return None


def _mains(path: Path) -> bool | None:
    """Whether any mains supply is on line; None without one (most Raspberry Pis have none to ask)."""
    try:
        states = [
            (one / "online").read_text(encoding="ascii").strip() == "1"
            for one in path.glob("*")
            if (one / "type").read_text(encoding="ascii").strip() == "Mains"
        ]
    except OSError:
        return None
    return any(states) if states else None
