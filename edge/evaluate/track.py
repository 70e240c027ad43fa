"""`track`: a recorded way through the gateway's fence and wandering detectors."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any

from rich.progress import track

from edge.detectors.base import Detection
from edge.detectors.facade import Detectors
from edge.detectors.location.fences import Fence, circle, from_geojson
from edge.detectors.location.fixes import SETTLE_S
from edge.detectors.location.geofence import GeofenceDetector
from edge.detectors.location.hours import Hours
from edge.detectors.location.wandering import Episode, Told, WanderingDetector
from edge.evaluate.report import FormatError, Report
from edge.evaluate.rows import flag, moment, number, read_rows, time_zone
from edge.evaluate.track_truth import Truth, read_truth, scored_walks
from edge.location_config import position_detectors
from edge.readings import Reading
from protocols.wire import AlarmKind

NAME = "track"
HELP = "fences and wandering on a recorded way: exits found, false exits, delay, wandering episodes"

DEVICE = "track"
_OPTIONAL = ("speed",)


@dataclass(frozen=True, slots=True)
class Row:
    """One fix of the file and, where it says so, whether the person truly was outside."""

    at: float
    values: dict[str, float]
    outside: bool | None


@dataclass(slots=True)
class Found:
    """What the detectors said; times in Unix seconds of the file."""

    exits: list[Detection] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)
    alarms: list[Detection] = field(default_factory=list)
    episodes: list[Episode] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE.csv",
        help="columns t (Unix seconds or date and time), lat, lon (WGS-84 degrees), accuracy (m); if there: speed "
        "(m/s), outside (0 or 1: the truth)",
    )
    parser.add_argument(
        "--fence",
        action="append",
        default=[],
        metavar="LAT,LON,RADIUS_M|FILE.geojson",
        help="may be given several times; write --fence=-33.9,151.2,300 where it begins with a minus",
    )
    parser.add_argument(
        "--truth",
        type=Path,
        metavar="CSV",
        help="columns start,end: true stays outside; with a column what also episodes of pacing, lapping, random or "
        "wandering",
    )
    parser.add_argument(
        "--wandering",
        choices=("off", "outside", "always"),
        default="outside",
        help="where an episode is an alarm by day (default outside of all fences)",
    )
    parser.add_argument(
        "--time-zone", default="Asia/Shanghai", help="of the night, and of times that name none (default Asia/Shanghai)"
    )


def run(options: argparse.Namespace) -> Report:
    """Feed the file fix by fix, in its order."""
    hours, fences = Hours(time_zone("--time-zone", options.time_zone)), tuple(_fences(options.fence))
    rows = list(_rows(options.file, hours.zone))
    found = replay(rows, fences, hours, options.wandering)
    truth = read_truth(options.truth, hours.zone) if options.truth else Truth(None, None)
    stays = true_stays(rows) if truth.stays is None else truth.stays
    figures: dict[str, Any] = {
        "fixes": len(rows),
        "hours": round((max(row.at for row in rows) - min(row.at for row in rows)) / 3600, 4),
        "exits": len(found.exits),
        "exit_times": [{"at": d.at, "reason": d.reason, **d.evidence[0].numbers} for d in found.exits],
        "returns": found.returns,
        "wandering_episodes": len(found.episodes),
        "episodes": [{"start": e.start, "end": e.end, "pattern": e.pattern} for e in found.episodes],
        "wandering_alarms": len(found.alarms),
        "left_out": found.left_out,
    }
    if stays is not None:
        figures |= scored([d.at for d in found.exits], stays)
    if truth.walks is not None:
        figures |= scored_walks(found.episodes, [d.at for d in found.alarms], truth.walks, figures["hours"])
    return Report(figures, list(_tables(options.file, figures, found)))


def replay(rows: Sequence[Row], fences: tuple[Fence, ...], hours: Hours, told: Told = "outside") -> Found:
    """The detectors as the gateway hosts them, fed one fix after the other; times may step back."""
    listed = position_detectors(DEVICE, fences, hours, told)
    hosted = Detectors(listed)
    found = Found()
    wandering = hosted.hosted("wandering", DEVICE)
    assert isinstance(wandering, WanderingDetector)
    for row in track(rows, description="fixes", transient=True, disable=len(rows) < 5_000):
        heard = [hosted.on_reading(Reading(DEVICE, name, row.at, value), row.at) for name, value in row.values.items()]
        for detection in [*(d for several in heard for d in several), *hosted.on_tick(row.at + SETTLE_S)]:
            _note(found, detection)
        newest = wandering.episodes[-1] if wandering.episodes else None
        if newest is not None and (not found.episodes or found.episodes[-1] is not newest):
            found.episodes.append(newest)
    found.left_out = dict(wandering.counts)
    if fences:
        fence = hosted.hosted("geofence", DEVICE)
        assert isinstance(fence, GeofenceDetector)
        found.left_out = {"poor_for_wandering": wandering.counts["poor"], **fence.counts}
    return found


def _note(found: Found, detection: Detection) -> None:
    if detection.kind is AlarmKind.WANDERING and not detection.cleared:
        found.alarms.append(detection)
    elif detection.kind is AlarmKind.GEOFENCE:
        if detection.cleared:
            found.returns.append(detection.at)
        else:
            found.exits.append(detection)


def true_stays(rows: Sequence[Row]) -> list[tuple[float, float]] | None:
    """Stays outside by the truth column; None without one."""
    if all(row.outside is None for row in rows):
        return None
    stays: list[tuple[float, float]] = []
    begun: float | None = None
    for row in rows:
        if row.outside and begun is None:
            begun = row.at
        elif row.outside is False and begun is not None:
            stays.append((begun, row.at))
            begun = None
    return stays + ([] if begun is None else [(begun, rows[-1].at)])


def scored(exits: Sequence[float], stays: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Exits against true stays: the first during a stay is its exit; those outside of all stays are false."""
    left = sorted(exits)
    delays: list[float] = []
    again = 0
    for start, end in stays:
        of_stay = [at for at in left if start <= at <= end]
        if of_stay:
            delays.append(of_stay[0] - start)
            again += len(of_stay) - 1
        left = [at for at in left if at not in of_stay]
    return {
        "true_exits": len(stays),
        "exits_found": len(delays),
        "missed_exits": len(stays) - len(delays),
        "false_exits": len(left),
        "exits_said_again": again,
        "recall": len(delays) / len(stays) if stays else None,
        "precision": len(delays) / (len(delays) + len(left)) if delays or left else None,
        "delay_median_s": statistics.median(delays) if delays else None,
        "delay_longest_s": max(delays) if delays else None,
    }


def _tables(path: Path, figures: dict[str, Any], found: Found) -> Iterator[tuple[str, list[str], list[list[object]]]]:
    shown = ("fixes", "hours", "exits", "true_exits", "exits_found", "missed_exits", "false_exits", "precision")
    of_walks = ("true_wanderings", "wanderings_found", "false_wanderings", "wandering_precision", "wandering_recall")
    of_exits = ("recall", "delay_median_s", "delay_longest_s", "wandering_episodes", "wandering_alarms")
    names = (*shown, *of_exits, *of_walks, "wandering_pattern_agreement", "wandering_delay_median_s")
    yield str(path), ["", ""], [[name, figures[name]] for name in names if name in figures]
    if found.exits:
        rows: list[list[object]] = [[d.at, d.reason, d.evidence[0].numbers["beyond_m"]] for d in found.exits[:20]]
        yield "Exits (the first 20)", ["at", "reason", "metres beyond"], rows
    if found.episodes:
        walks: list[list[object]] = [[e.start, e.end, e.pattern] for e in found.episodes[:20]]
        yield "Wandering (the first 20)", ["start", "end", "pattern"], walks


def _rows(path: Path, zone: tzinfo) -> Iterator[Row]:
    wanted = ("t", "lat", "lon", "accuracy")
    for line, cells in read_rows(path, wanted):
        at = moment(path, line, "t", cells["t"], zone)
        values = {n: number(path, line, n, cells[n]) for n in (*wanted[1:], *_OPTIONAL) if n in cells}
        for name, limit in (("lat", 90.0), ("lon", 180.0)):
            value = values[name]
            if value is not None and abs(value) > limit:
                raise FormatError(f"{path}:{line}: {name} is in degrees, at most {limit:g}, got {value:g}")
        truth = flag(path, line, "outside", cells["outside"]) if "outside" in cells else None
        yield Row(at, {n: v for n, v in values.items() if v is not None}, truth)


def _fences(texts: Sequence[str]) -> Iterator[Fence]:
    for i, text in enumerate(texts):
        name = f"{i + 1}"
        parts = text.split(",")
        try:
            if len(parts) == 3 and not Path(text).is_file():
                lat, lon, radius = (float(part) for part in parts)
                yield circle(name, lat, lon, radius)
            else:
                yield from from_geojson(name, Path(text).read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            raise FormatError(f"--fence {text}: not a text in UTF-8") from None
        except FileNotFoundError:
            raise FormatError(f"--fence {text}: neither LAT,LON,RADIUS_M nor a file") from None
        except ValueError as error:
            raise FormatError(f"--fence {text}: {error}") from None
