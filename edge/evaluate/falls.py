"""`anju-evaluate falls`: staged falls and daily activities through the gateway's fall detector."""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from edge.detectors.fall import FallDetector
from edge.detectors.fall_model import FallModel
from edge.evaluate.degrade import parse
from edge.evaluate.fall_play import Played, model_of, play
from edge.evaluate.fall_scoring import Outcome, owner, score, wilson
from edge.evaluate.fall_training.leaving_out import load as load_folds
from edge.evaluate.joining import Stream, streams
from edge.evaluate.recordings import Trial, load
from edge.evaluate.report import FormatError, Report
from edge.evaluate.train_falls import AIMS, add_support, models_without
from edge.readings import BodyPosition, Sensitivity

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
    parser.add_argument(
        "--sensitivity", choices=[s.value for s in Sensitivity], default="normal", help="of the detector"
    )
    model = parser.add_mutually_exclusive_group()
    model.add_argument("--model", type=Path, help="a file made by train-falls instead of the model that ships")
    model.add_argument(
        "--leave-out",
        type=int,
        metavar="N",
        help="train on all but N people, score those, and so on until everybody was left out (wants the extra [train])",
    )
    model.add_argument("--folds", type=Path, metavar="FOLDER", help="the same, with models that train-falls kept there")
    parser.add_argument(
        "--beside",
        type=Path,
        action="append",
        default=[],
        metavar="MODEL",
        help="asked as well, one that says so is enough (as where the position is unknown); may be repeated",
    )
    parser.add_argument(
        "--power-cut",
        type=float,
        metavar="SECONDS",
        help="the gateway loses its power behind every impact that it keeps on flash, and is back after so long",
    )
    add_support(parser)


def run(options: argparse.Namespace) -> Report:
    """Raises FormatError for files or options that cannot be used."""
    worse = parse(options.degrade)
    wanted = [s.strip() for s in options.subjects.split(",") if s.strip()] if options.subjects else None
    trials = load(options.npz, options.index, wanted, options.rate)
    if options.power_cut is not None and not 0 <= options.power_cut < math.inf:
        raise FormatError("--power-cut is 0 or more")
    position, step = BodyPosition(options.position), Sensitivity(options.sensitivity)
    models = _models(options, trials)
    parts = streams([worse.apply(t) for t in trials], joined=options.join, seed=options.seed)
    outcomes, plays = [], []
    for stream in track(parts, "subjects", transient=True):
        make = partial(FallDetector, "recording", position, step, models.get(stream.subject))
        played = play(stream, make, worse.dropout, options.seed, options.power_cut)
        plays.append((stream, played))
        outcomes.append(score(stream, played.alarms))
    done = report(outcomes)
    done.figures["kept_impacts_per_hour"] = (
        _in_activities(plays, "kept") / hours if (hours := _hours(outcomes)) else None
    )
    counts = sum((played.counts for _, played in plays), Counter[str]())
    done.figures["detector_counts"] = dict(sorted(counts.items()))
    done.tables.append(("Looked at and left out by the detector", ("what", "times"), sorted(counts.items())))
    if options.power_cut is not None:
        cuts = _power_cuts(options.power_cut, plays, outcomes)
        done.figures["activities_with_power_cuts"] = cuts
        done.tables.append(("Power cuts", ("figure", "value"), list(cuts.items())))
    return done


def _models(options: argparse.Namespace, trials: Sequence[Trial]) -> dict[str, tuple[FallModel, ...]]:
    """The models each subject is judged by, where they are not those that ship."""
    beside = tuple(model_of(path) for path in options.beside)
    own = _own_models(options, trials)
    if beside and not own:
        raise FormatError("--beside goes with --model, --leave-out or --folds")
    return {subject: (model, *beside) for subject, model in own.items()}


def _own_models(options: argparse.Namespace, trials: Sequence[Trial]) -> dict[str, FallModel]:
    if options.leave_out is not None:
        if options.position not in AIMS:
            raise FormatError(f"--leave-out: there is no model of its own for {options.position}")
        return models_without(options, trials)
    if options.folds is not None:
        models = load_folds(options.folds)
        if missing := {t.subject for t in trials} - models.keys():
            raise FormatError(f"{options.folds}: no model that leaves out {', '.join(sorted(missing))}")
        return models
    if options.model is None:
        return {}
    return dict.fromkeys((t.subject for t in trials), model_of(options.model))


def _in_activities(plays: Sequence[tuple[Stream, Played]], name: str) -> int:
    """How many of the moments of that name came in activities."""
    return sum(not owner(stream, at).trial.is_fall for stream, played in plays for at in getattr(played, name))


def _hours(outcomes: Sequence[Outcome]) -> float:
    return sum(o.activity_s for o in outcomes) / 3600


def _power_cuts(away_s: float, plays: Sequence[tuple[Stream, Played]], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """How often the power was cut behind an impact of activities, and the false alarms of that."""
    cuts = _in_activities(plays, "cuts")
    return {
        "away_s": away_s,
        "power_cuts": cuts,
        "false_alarms_per_power_cut": sum(len(o.false) for o in outcomes) / cuts if cuts else None,
    }


def report(outcomes: Sequence[Outcome]) -> Report:
    """Figures and tables of all subjects."""
    hits = [hit for o in outcomes for hit in o.hits]
    missed = [placed for o in outcomes for placed in o.missed]
    false = [placed for o in outcomes for placed in o.false]
    delays = np.array([delay for _, delay in hits])
    falls, trials = len(hits) + len(missed), sum(o.trials for o in outcomes)
    low, high = wilson(len(hits), falls)
    figures: dict[str, Any] = {
        "sensitivity": len(hits) / falls if falls else None,
        "sensitivity_interval": [low, high],
        "false_alarms_per_hour": _per_hour(outcomes),
        "false_alarms_per_hour_elders": _per_hour([o for o in outcomes if o.elder]),
        "accuracy": sum(o.judged_right for o in outcomes) / trials if trials else None,
        "latency_median_s": float(np.median(delays)) if len(delays) else None,
        "latency_p95_s": float(np.percentile(delays, 95)) if len(delays) else None,
        "subjects": len(outcomes),
        "falls": falls,
        "hits": len(hits),
        "false_alarms": len(false),
        "hours": _hours(outcomes),
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
    hours = _hours(outcomes)
    return sum(len(o.false) for o in outcomes) / hours if hours else None


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())
