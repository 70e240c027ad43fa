"""`anju-evaluate routine`: reads any home's events, and says how good the gateway's own detector is on them."""

from __future__ import annotations

import argparse
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from edge.detectors.places import leads_outside
from edge.evaluate import routine
from edge.evaluate.ambient import load, role_of
from edge.evaluate.cli import main
from edge.evaluate.report import FormatError
from edge.readings import DeviceRole

ZONE = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("sensor", "kind", "place", "role"),
    [
        ("Bed", "Pressure", "Bedroom", DeviceRole.BED),
        ("Sofa", "Pressure", "Living", DeviceRole.SEAT),
        ("Toilet", "Flush", "Bathroom", DeviceRole.MOTION),
        ("Hall-Bedroom door", "", "Hall-Bedroom door", DeviceRole.CONTACT),
        ("冰箱", "magnetic", "厨房", DeviceRole.CONTACT),
        ("M003", "", "", DeviceRole.MOTION),
    ],
)
def test_a_sensor_is_what_its_texts_say(sensor: str, kind: str, place: str, role: DeviceRole) -> None:
    """Type first, then words of the name."""
    assert role_of(sensor, kind, place) is role


@pytest.mark.parametrize(
    ("sensor", "place", "outside"),
    [
        ("Front door", None, True),
        ("Maindoor", "Entrance", True),
        ("Haustür", "Flur", True),
        ("Porte d'entrée", None, True),
        ("入户门", None, True),
        ("Hall-Bathroom door", None, False),
        ("Fridge", "Kitchen", False),
        ("卧室门", None, False),
        ("door", "living", False),
    ],
)
def test_only_a_door_of_no_room_leads_outside(sensor: str, place: str | None, outside: bool) -> None:
    """In several languages."""
    assert leads_outside(sensor, place) is outside


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a,b\n1,2\n", "events.csv: no column end, sensor, start"),
        ("start,end,sensor\n2020-01-01 00:00:00,never,x\n", "events.csv:2: end is Unix seconds or a date"),
        ("start,end,sensor\n2020-01-02 00:00:00,2020-01-01 00:00:00,x\n", "events.csv:2: an event of -86400 s"),
        ("start,end,sensor\n", "there are no rows"),
    ],
)
def test_a_file_of_another_format_is_refused_with_its_line(tmp_path: Path, text: str, error: str) -> None:
    """The message names file, line and column; the exit code is 2."""
    path = tmp_path / "events.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=error):
        load(path, ZONE)
    assert main(["routine", str(path)]) == 2


def evaluated(path: Path) -> dict[str, object]:
    """The figures of one home with 30 stops, seed 7."""
    options = {"events": path, "inject_collapse": 30, "seed": 7, "zone": "Asia/Shanghai", "residents": 1}
    options |= {"pets": False, "budget": 1.0, "quiet": True, "curve": False}
    return routine.run(argparse.Namespace(**options)).figures


@pytest.mark.parametrize("home", ["ordonezA", "kasterenA"])
def test_recorded_homes_stay_within_their_budget(recordings: Path, home: str) -> None:
    """No false alarm in the second half, and nearly every stop at home is noticed."""
    figures = evaluated(recordings / "ambient" / f"{home}_events.csv")
    assert figures["false_alarms_per_30_days"] == 0
    share = figures["detected_share"]
    assert isinstance(share, float)
    assert share > 0.9
    floor, median = figures["floor_median_h_night"], figures["median_detection_h_night"]
    assert isinstance(floor, float)
    assert isinstance(median, float)
    assert 0 < floor <= median
