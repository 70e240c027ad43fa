"""`anju-evaluate falls`: staged falls and daily activities through the gateway's fall detector."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from edge.detectors.fall import FallDetector
from edge.evaluate.degrade import parse
from edge.evaluate.fall_scoring import Outcome, score, wilson
from edge.evaluate.joining import FRAME_S, Stream, frames, streams
from edge.evaluate.recordings import load
from edge.evaluate.report import Report
from edge.readings import BodyPosition

NAME = "falls"
HELP = "staged falls and activities: sensitivity, false alarms an hour, latency"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.epilog = (
        "examples:\n"
        "  anju-evaluate falls --npz waist.npz --index waist_index.csv --position waist --join\n"
        "  anju-evaluate falls --npz wrist.npz --index wrist_index.csv --position wrist --join"
        " --degrade rate=25,range_g=4,no_gyro --json falls.json"
    )
    parser.add_argument("--npz", type=Path, required=True, help="array 'acc' in milli-g, perhaps 'acc_t' in ms")
    parser.add_argument("--index", type=Path, required=True, help="CSV with one row a trial")
    parser.add_argument("--position", choices=[p.value for p in BodyPosition], required=True)
    parser.add_argument("--subjects", help="only these, separated by commas")
    parser.add_argument("--join", action="store_true", help="trials in random order, 10 to 30 s of stillness between")
    parser.add_argument("--degrade", default="", help="rate=HZ,range_g=G,gain=FACTOR,dropout=SHARE,no_gyro")
    parser.add_argument("--rate", type=float, help="Hz; overrides what the files say")


def run(options: argparse.Namespace) -> Report:
    """Raises FormatError for files or options that cannot be used."""
    worse = parse(options.degrade)
    wanted = [s.strip() for s in options.subjects.split(",") if s.strip()] if options.subjects else None
    trials = [worse.apply(t) for t in load(options.npz, options.index, wanted, options.rate)]
    position = BodyPosition(options.position)
    outcomes = [
        score(stream, alarms(stream, position, worse.dropout, options.seed))
        for stream in track(streams(trials, joined=options.join, seed=options.seed), "subjects", transient=True)
    ]
    return report(outcomes)


def alarms(stream: Stream, position: BodyPosition, dropout: float, seed: int) -> list[float]:
    """When the detector, never reset, gave each alarm: the end of the frame that completed it."""
    detector = FallDetector("recording", position)
    found: list[float] = []
    for frame in frames(stream, "recording", FRAME_S, dropout, seed):
        found += [frame.at + len(frame.samples) / frame.rate_hz for _ in detector.on_frame(frame)]
    return found


def report(outcomes: Sequence[Outcome]) -> Report:
    """Figures and tables of all subjects."""
    hits = [hit for o in outcomes for hit in o.hits]
    missed = [placed for o in outcomes for placed in o.missed]
    false = [placed for o in outcomes for placed in o.false]
    delays = np.array([delay for _, delay in hits])
    falls = len(hits) + len(missed)
    low, high = wilson(len(hits), falls)
    figures: dict[str, Any] = {
        "sensitivity": len(hits) / falls if falls else None,
        "sensitivity_interval": [low, high],
        "false_alarms_per_hour": _per_hour(outcomes),
        "false_alarms_per_hour_elders": _per_hour([o for o in outcomes if o.elder]),
        "latency_median_s": float(np.median(delays)) if len(delays) else None,
        "latency_p95_s": float(np.percentile(delays, 95)) if len(delays) else None,
        "subjects": len(outcomes),
        "falls": falls,
        "hits": len(hits),
        "false_alarms": len(false),
        "hours": sum(o.activity_s for o in outcomes) / 3600,
        "by_subject": {o.subject: _of_subject(o) for o in outcomes},
        "missed_by_activity": _counted(p.trial.activity for p in missed),
        "false_alarms_by_activity": _counted(p.trial.activity for p in false),
    }
    shown = [(k, v) for k, v in figures.items() if not isinstance(v, dict | list)]
    shown.insert(1, ("95 % interval", f"{low:.3f} to {high:.3f}"))
    rows = [
        (name, f["falls"], f["sensitivity"], f["false_alarms"], f["hours"]) for name, f in figures["by_subject"].items()
    ]
    tables: list[tuple[str, Sequence[str], Sequence[Sequence[object]]]] = [
        ("Falls", ("figure", "value"), shown),
        ("By subject", ("subject", "falls", "sensitivity", "false alarms", "hours"), rows),
        ("Missed, by activity", ("activity", "falls"), list(figures["missed_by_activity"].items())),
        ("False alarms, by activity", ("activity", "alarms"), list(figures["false_alarms_by_activity"].items())),
    ]
    return Report(figures, tables)


def _of_subject(outcome: Outcome) -> dict[str, Any]:
    falls = len(outcome.hits) + len(outcome.missed)
    return {
        "falls": falls,
        "sensitivity": len(outcome.hits) / falls if falls else None,
        "false_alarms": len(outcome.false),
        "hours": outcome.activity_s / 3600,
    }


def _per_hour(outcomes: Sequence[Outcome]) -> float | None:
    hours = sum(o.activity_s for o in outcomes) / 3600
    return sum(len(o.false) for o in outcomes) / hours if hours else None


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())
