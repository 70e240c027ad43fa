"""The pages of the detectors say what the committed results say (the model card of falls has a test of its own)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.detectors.unusual import TOLD

_DOCS = Path(__file__).resolve().parents[3] / "docs"
_HOMES = ("ordonezA", "kasterenA")
_AWAKE, _NIGHT = "h_awake", "h_night"


def _result(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((_DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))
    return result


def _page(name: str) -> str:
    """With every line break as one space, for a figure may stand behind one."""
    return " ".join((_DOCS / name).read_text(encoding="utf-8").split())


def _row(name: str, *cells: str) -> str:
    return f"| {' | '.join((name, *cells))} |"


@pytest.mark.parametrize(
    ("name", "key", "write"),
    [
        ("days scored", "days", "{:.1f}"),
        ("false alarms per 30 days", "false_alarms_per_30_days", "{:g}"),
        ("stops at home", "injected", "{}"),
        ("share detected within 36 h", "detected_share", "{:.3f}"),
        ("median awake, h", f"median_detection_{_AWAKE}", "{:.2f}"),
        ("median at night, h", f"median_detection_{_NIGHT}", "{:.2f}"),
        ("floor awake, h", f"floor_median_{_AWAKE}", "{:.2f}"),
        ("floor at night, h", f"floor_median_{_NIGHT}", "{:.2f}"),
        ("median awake, own hours, h", f"median_detection_{_AWAKE}_own_hours", "{:.2f}"),
        ("median at night, own hours, h", f"median_detection_{_NIGHT}_own_hours", "{:.2f}"),
    ],
)
def test_routine(name: str, key: str, write: str) -> None:
    """The table of both homes."""
    results = _result("routine")
    assert _row(name, *(write.format(results[home][key]) for home in _HOMES)) in _page("detectors/routine.md")


def test_routine_by_budget() -> None:
    """The table of what a larger budget buys."""
    results, page = _result("routine"), _page("detectors/routine.md")
    for points in zip(*(results[home]["curve"] for home in _HOMES), strict=True):
        cells: list[str] = []
        for point in points:
            hours = (point[f"median_detection_{when}"] for when in (_AWAKE, _NIGHT))
            cells += [str(point["false_alarms"]), *(f"{h:.1f}" for h in hours)]
        assert _row(f"{points[0]['budget']:g}", *cells) in page


@pytest.mark.parametrize("home", _HOMES)
def test_routine_by_seed(home: str) -> None:
    """The tables of other moments, none with a false alarm."""
    seeds = _result("routine_seeds")[home].values()
    page = _page("detectors/routine.md")
    for name, key in ((home, "median_detection"), ("floor", "floor_median")):
        assert _row(name, *(f"{s[f'{key}_{_AWAKE}']:.1f} / {s[f'{key}_{_NIGHT}']:.1f}" for s in seeds)) in page
    assert [s["false_alarms"] for s in seeds] == [0, 0, 0]


def test_cost() -> None:
    """Of the whole home, and of each detector; of several alike the one in the middle."""
    figures = {name.removesuffix("_us_per_s"): value for name, value in _result("detectors_cost")["figures"].items()}
    page = _page("detectors.md")
    whole = f"{figures.pop('home_percent_of_core'):.2f} % of a core here, {figures.pop('home'):.0f} µs"
    assert whole in page
    rows = {
        "fall, waist": "fall_waist-1",
        "fall, wrist": "fall_wrist-1",
        "vital signs": "vitals",
        "trends": "trends",
        "inactivity": "routine",
        "habits": "habits",
        "bed": "bed_bed-1",
        "outside door": "departure",
        "SOS, smoke, gas, CO, water": "contact",
        "CO in ppm": "carbon_monoxide",
        "heat, cold": "climate",
        "stove": "stove",
        "radar": "radar",
        "unusual numbers, as hosted": "unusual",
        "general series, one value a second": "series",
    }
    for name, key in rows.items():
        assert _row(name, f"{figures.pop(key):.0f}") in page
    for name, key in (("wandering, a device", "wandering"), ("fence, a device", "geofence")):
        assert (
            _row(name, f"{sorted(figures.pop(f'{key}_{d}') for d in ('waist-1', 'wrist-1', 'phone-1'))[1]:.0f}") in page
        )
    assert list(figures) == ["host_alone"]


def test_falls_in_short() -> None:
    """The line of the overview."""
    waist, wrist = _result("falls_waist"), _result("falls_wrist")
    assert (
        f"waist {waist['sensitivity']:.3f} at {waist['false_alarms_per_hour']:.2f} false alarms/h of activities "
        f"(elders {waist['false_alarms_per_hour_elders']:.2f}/h), "
        f"wrist {wrist['sensitivity']:.3f} at {wrist['false_alarms_per_hour']:.2f}/h"
    ) in _page("detectors.md")


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ("news2", lambda f: f"all {f['cases']:,} cases of the development file agree"),
        (
            "vitals_numerics",
            lambda f: f"{f['patients']} intensive-care patients of 8 minutes: {f['alarms']} alarm, none",
        ),
        ("vitals_numerics", lambda f: f"{f['readings_left_out']['implausible']} values were beyond the limits"),
        (
            "vitals_charts",
            lambda f: f"AUC {f['auc_last_24h']:.3f} ({f['auc_last_24h_certain_score']:.3f} for the certain",
        ),
        ("vitals_charts", lambda f: f"{f['patients']:,} charted stays, {f['patient_days']:,.0f} patient-days"),
        ("vitals_charts", lambda f: f"{f['alarms_per_patient_day']:.2f} alarms a patient-day"),
        ("vitals_charts", lambda f: f"{f['artefact_share']:.1%} of them artefacts".replace("%", " %")),
        ("vitals_charts", lambda f: f"{100 * f['died_with_high_alarm_last_24h']:.1f} % of those who died"),
        ("vitals_charts", lambda f: f"{f['lead_time_h_median']:.0f} h (median) before the chart ends"),
        ("vitals_charts", lambda f: f"{100 * f['lived_with_high_alarm_last_24h']:.1f} % of those who lived"),
        ("drift", lambda f: f"Fluid gain is told {f['fluid_gain_false_notices_per_year']} times a year"),
    ],
)
def test_vitals(result: str, words: Callable[[dict[str, Any]], str]) -> None:
    """What is said of NEWS2, numerics and charts."""
    assert words(_result(result)) in _page("detectors/vitals.md")


def test_exits() -> None:
    """The table of fences, receiver by receiver."""
    page = _page("detectors/location.md")
    for name, f in _result("track")["exits"].items():
        assert (
            _row(
                name,
                f"{f['exits_found']} of {f['true_exits']}",
                str(f["false_exits"]),
                f"{f['false_exits_at_home']} in {f['hours_at_home']:.0f} h",
                f"{f['delay_median_s']:.0f} / {f['delay_p95_s']:.0f} s",
                str(f["wandering_episodes_per_hour_at_home"]),
            )
            in page
        )


def test_patterns() -> None:
    """The tables of what walks are taken for, and of days in which they are mixed with errands."""
    page = _page("detectors/location.md")
    for name, kinds in _result("track")["patterns"].items():
        cells = (", ".join(f"{pattern} {n}" for pattern, n in taken.items()) for taken in kinds.values())
        assert _row(name, *cells) in page
    for name, f in _result("track")["wandering"].items():
        counts = (str(f["true_wanderings"]), str(f["wanderings_found"]), f"{f['false_wanderings']} in {f['hours']}")
        right = f"{f['wandering_pattern_agreement']:.2f}", f"{f['wandering_delay_median_s']:.0f} s"
        assert _row(name, *counts, *right) in page


def test_series() -> None:
    """The three scores on planted anomalies, and the own one by anomaly."""
    results, page = _result("series"), _page("detectors/series.md")
    for name, key in (("this one", "anju"), ("rolling z-score, 200 values", "rolling z-score"), ("EWMA chart", "EWMA")):
        assert _row(name, f"{results[key]['auc']:.3f}", f"{results[key]['window_score']:.1f}") in page
    for anomaly, auc in results["anju"]["auc_by_anomaly"].items():
        assert f"{anomaly} {auc:.3f}, {results['anju']['window_score_by_anomaly'][anomaly]:.0f}" in page


def test_unusual_numbers() -> None:
    """How often a usual home is told something, and how soon what goes wrong is, at the limit in use."""
    of = _result("unusual")[f"{TOLD:g}"]
    page, usual, wrong = _page("detectors/series.md"), of["notices_in_30_days"], of["wrong"]
    assert {name: n for name, n in usual.items() if n} == {"television": 0.08, "bath": 0.17}
    assert _row("television (power)", f"{usual['television']:.2f}") in page
    assert _row("humidity of a bathroom", f"{usual['bath']:.2f}") in page
    rows = {"bathroom stays wet": "bathroom stays wet", "carbon monoxide 15 ppm higher for 3 h": "carbon monoxide"}
    for name, key in rows.items():
        assert _row(name, wrong[key]["told"], f"{wrong[key]['median_h']:.1f} h") in page
    runs, off = wrong["fridge runs without a pause"], wrong["fridge is off"]
    assert runs["told"] == off["told"] == "6 of 6"
    assert f"| 6 of 6 each | {runs['median_h']:.1f} h; {off['median_h']:.1f} h |" in page
