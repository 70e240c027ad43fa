"""`anju-evaluate news2`: the score against a table of worked cases, sub-score by sub-score."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from edge.detectors.news2 import Observation, Score, Sign, score
from edge.evaluate.report import FormatError, Report
from edge.evaluate.rows import Row, flag, number, read_rows, text

NAME = "news2"
HELP = "NEWS2 against worked cases: agreement of every sub-score, the total and the band"

INPUTS = ("rr", "spo2", "scale2", "o2", "sbp", "pulse", "acvpu", "temp")
SUB_SCORES = {
    "s_rr": Sign.RESPIRATION,
    "s_spo2": Sign.SPO2,
    "s_o2": Sign.OXYGEN,
    "s_sbp": Sign.SYSTOLIC,
    "s_pulse": Sign.PULSE,
    "s_acvpu": Sign.CONSCIOUSNESS,
    "s_temp": Sign.TEMPERATURE,
}
_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file of cases."""
    parser.add_argument(
        "file",
        type=Path,
        help=f"CSV with {','.join(INPUTS)} and the expected {','.join(SUB_SCORES)},total,risk; "
        "an empty input is missing, an empty expectation is not compared",
    )


def run(options: argparse.Namespace) -> Report:
    """Score every case; a case with missing inputs agrees when what is expected lies in the range given."""
    agreed: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    wrong: list[tuple[int, str, str, str]] = []
    cases = incomplete = 0
    for line, row in read_rows(options.file, (*INPUTS, "total", "risk")):
        result = score(observation(options.file, line, row))
        cases += 1
        incomplete += bool(result.missing)
        for name, expected, got in _expectations(options.file, line, row, result):
            compared[name] += 1
            if _agrees(expected, got):
                agreed[name] += 1
            elif len(wrong) < _SHOWN:
                wrong.append((line, name, expected, f"{got[0]}..{got[1]}" if isinstance(got, tuple) else got))
    share = {name: agreed[name] / n for name, n in compared.items()}
    figures = {
        "cases": cases,
        "cases_with_missing_inputs": incomplete,
        "total_agreement": share.get("total"),
        "band_agreement": share.get("band"),
        **{f"{name}_agreement": share.get(name) for name in SUB_SCORES},
        "disagreements": [{"line": line, "of": of, "expected": e, "got": g} for line, of, e, g in wrong],
    }
    rows = [
        (name, compared[name], agreed[name], share[name]) for name in (*SUB_SCORES, "total", "band") if compared[name]
    ]
    tables: list[tuple[str, tuple[str, ...], list[tuple[object, ...]]]] = [
        (f"NEWS2 on {cases} cases", ("score", "compared", "agreed", "agreement"), list(rows))
    ]
    if wrong:
        tables.append(("Disagreements (the first)", ("line", "score", "expected", "got"), list(wrong)))
    return Report(figures, [*tables])


def observation(path: Path, line: int, row: Row) -> Observation:
    """The inputs of one case; raises FormatError naming the cell that is none."""

    def value(name: str) -> float | None:
        return number(path, line, name, row[name])

    mind = text(row["acvpu"]).upper() or None
    if mind not in (None, "A", "C", "V", "P", "U"):
        raise FormatError(f"{path}:{line}: acvpu is one of A C V P U, got {mind[:40]!r}")
    return Observation(
        respiration=value("rr"),
        spo2=value("spo2"),
        oxygen=flag(path, line, "o2", row["o2"]),
        systolic=value("sbp"),
        pulse=value("pulse"),
        consciousness=mind,
        temperature=value("temp"),
        scale2=bool(flag(path, line, "scale2", row["scale2"])),
    )


def _expectations(path: Path, line: int, row: Row, result: Score) -> list[tuple[str, str, tuple[int, int] | str]]:
    found: list[tuple[str, str, tuple[int, int] | str]] = []
    wanted = {**{name: result.signs[sign] for name, sign in SUB_SCORES.items()}, "total": (result.low, result.high)}
    for name, got in wanted.items():
        expected = number(path, line, name, row.get(name, ""))
        if expected is not None:
            found.append((name, f"{expected:g}", got))
    band = "-".join(text(row["risk"]).lower().replace("_", " ").replace("-", " ").split())
    if band and not result.missing:
        found.append(("band", band, str(result.risk)))
    return found


def _agrees(expected: str, got: tuple[int, int] | str) -> bool:
    return got[0] <= float(expected) <= got[1] if isinstance(got, tuple) else expected == got
