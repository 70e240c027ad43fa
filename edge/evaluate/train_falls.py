"""`anju-evaluate train-falls`: fit the fall model of a wearing position, and say how good it is on people not seen."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.progress import track

from edge.detectors.fall_model import FallModel
from edge.evaluate.fall_training.fit import RECIPES, Aim, calibrated, false_alarms, fit
from edge.evaluate.fall_training.leaving_out import hours_of, leave_out, save
from edge.evaluate.fall_training.rivals import compared
from edge.evaluate.fall_training.table import Table, augmented, found, joined, plain, renamed, supporting
from edge.evaluate.recordings import Trial, load
from edge.evaluate.report import FormatError, Report, writable
from edge.readings import BodyPosition, Sensitivity

NAME = "train-falls"
HELP = "fit the fall model of a wearing position (wants the extra [train])"
AIMS: dict[BodyPosition, dict[Sensitivity, Aim]] = {
    BodyPosition.WAIST: {
        Sensitivity.LOW: Aim(found=0.97),
        Sensitivity.NORMAL: Aim(found=0.98),
        Sensitivity.HIGH: Aim(found=0.995),
    },
    BodyPosition.WRIST: {
        Sensitivity.LOW: Aim(per_hour=3.0),
        Sensitivity.NORMAL: Aim(per_hour=7.5),
        Sensitivity.HIGH: Aim(per_hour=15.0),
    },
}
"""What each step is set by, on people the trees had not seen. At the waist two or three alarms in nine hours cannot."""
AUGMENTED = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.epilog = (
        "examples:\n"
        "  anju-evaluate train-falls --npz waist.npz --index waist_index.csv --position waist --out fall_waist.npz\n"
        "  anju-evaluate train-falls --npz wrist.npz --index wrist_index.csv --position wrist --out fall_wrist.npz"
        " --support-npz waist.npz --support-index waist_index.csv --folds models_of_people_left_out"
    )
    parser.add_argument("--npz", type=Path, action="append", required=True, help="as of `falls`; may be repeated")
    parser.add_argument("--index", type=Path, action="append", required=True, help="one for each --npz")
    parser.add_argument("--position", choices=[p.value for p in AIMS], required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="MODEL", help="the model file to write")
    parser.add_argument("--leave-out", type=int, default=3, metavar="N", help="people left out at a time (default 3)")
    add_support(parser)
    parser.add_argument("--folds", type=Path, metavar="FOLDER", help="keep the models of people left out, for `falls`")
    parser.add_argument("--compare", action="store_true", help="measure other kinds of models too")


def run(options: argparse.Namespace) -> Report:
    """Raises FormatError for files that cannot be used, or without scikit-learn; OSError."""
    writable(options.out)
    if len(options.npz) != len(options.index):
        raise FormatError("as many --index as --npz")
    if options.leave_out < 1 or options.augmented < 0 or options.put_down < 0:
        raise FormatError("--leave-out is 1 or more, --augmented and --put-down 0 or more")
    sets = [load(npz, index) for npz, index in zip(options.npz, options.index, strict=True)]
    trials = [t for n, own in enumerate(sets) for t in (renamed(own, f"{n}:") if len(sets) > 1 else own)]
    position = BodyPosition(options.position)
    table, training = tables(trials, options)
    recipe = RECIPES[options.trees]
    without = leave_out(trials, table, training, options.leave_out, AIMS[position], options.seed, recipe)
    if options.folds is not None:
        save(without.models, options.folds)
    scores, hours = without.scores, hours_of(trials)
    if hours <= 0:
        raise FormatError("training wants recordings of activities that are no falls")
    model = calibrated(fit(training, recipe, options.seed), table, scores, hours, AIMS[position])
    falls = sum(t.is_fall for t in trials)
    steps = {
        str(step): {
            "threshold": threshold,
            "sensitivity": found(table, scores, threshold) / falls,
            "false_alarms_per_hour": false_alarms(table, scores, threshold) / hours,
        }
        for step, threshold in model.thresholds.items()
    }
    figures: dict[str, Any] = {
        "position": options.position,
        "subjects": len(set(table.subject.tolist())),
        "falls": falls,
        "hours": hours,
        "impacts": len(table.truth),
        "training_rows": len(training.truth),
        "seed": options.seed,
        "augmented": options.augmented,
        "support": options.support_npz is not None,
        "leave_out": options.leave_out,
        **({"put_down": options.put_down} if options.put_down else {}),
        "recipe": recipe.described(),
        "steps": steps,
    }
    if options.compare:
        figures["approaches"] = compared(trials, training, table, without.groups, options.seed)
    _with_about(model, figures, sets).save(options.out)
    return _report(options.out, figures)


def add_support(parser: argparse.ArgumentParser) -> None:
    """Options that `falls --leave-out` shares."""
    parser.add_argument("--augmented", type=int, default=AUGMENTED, metavar="K", help="passes with imitated sensors")
    parser.add_argument(
        "--put-down", type=int, default=0, metavar="N", help="more simulated devices put down: one set to N trials"
    )
    parser.add_argument("--trees", choices=sorted(RECIPES), default="boosted", help="kind of trees (default boosted)")
    parser.add_argument("--support-npz", type=Path, help="recordings of another position, to steady the trees")
    parser.add_argument("--support-index", type=Path)


def models_without(options: argparse.Namespace, trials: Sequence[Trial]) -> dict[str, FallModel]:
    """For each subject a model that has not seen it (`falls --leave-out`). Raises FormatError."""
    table, training = tables(trials, options)
    aims = AIMS[BodyPosition(options.position)]
    return leave_out(trials, table, training, options.leave_out, aims, options.seed, RECIPES[options.trees]).models


def support(options: argparse.Namespace) -> list[Trial]:
    """The supporting recordings, if any. Raises FormatError."""
    if (options.support_npz is None) != (options.support_index is None):
        raise FormatError("--support-npz and --support-index go together")
    return [] if options.support_npz is None else load(options.support_npz, options.support_index)


def tables(trials: Sequence[Trial], options: argparse.Namespace) -> tuple[Table, Table]:
    """The recordings as they are; and these with the augmented passes and those that support them. Raises FormatError
    for supporting files that cannot be used.
    """
    seed = options.seed
    table = plain(trials, seed)
    passes = track(range(options.augmented), "imitated sensors", transient=True)
    more = [augmented(trials, seed + n + 1, options.put_down) for n in passes]
    if others := support(options):
        more.append(supporting(others, seed))
    return table, joined([table, *more])


def _with_about(model: FallModel, figures: dict[str, Any], sets: Sequence[Sequence[Trial]]) -> FallModel:
    kept = ("position", "support", "seed", "augmented", "leave_out", "put_down", "recipe", "steps")
    people = [len({t.subject for t in own}) for own in sets]
    model.about.update(
        {k: figures[k] for k in kept if k in figures} | {"people_by_set": people, "falls": figures["falls"]}
    )
    return model


def _report(out: Path, figures: dict[str, Any]) -> Report:
    single = [(k, v) for k, v in figures.items() if not isinstance(v, dict)]
    steps = [(k, *v.values()) for k, v in figures["steps"].items()]
    report = Report(figures, [(str(out), ("", ""), [*single, ("bytes", out.stat().st_size)])])
    report.tables.append(("On people not seen", ("step", "threshold", "sensitivity", "false alarms/h"), steps))
    if approaches := figures.get("approaches"):
        header = (
            "approach",
            *(f"sensitivity at {per_hour} false alarms/h" for per_hour in next(iter(approaches.values()))),
        )
        report.tables.append(("Approaches", header, [(k, *v.values()) for k, v in approaches.items()]))
    return report
