"""The vitals detector on broken input, and the command that scores it."""

from __future__ import annotations

import csv
import json
import math
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.detectors.vitals import VitalsDetector
from edge.evaluate.cli import main
from edge.readings import Reading


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, -5.0, True, "low"])
def test_what_is_no_saturation_never_alarms(value: float | bool | str) -> None:
    """Dropouts, NaN, flags and texts are left out and counted, however long they last."""
    detector = VitalsDetector()
    assert [d for t in range(600) for d in detector.on_reading(Reading("o", "spo2", float(t), value), float(t))] == []
    assert detector.counts.total() == 600


def test_low_saturation_alarms_after_the_dwell() -> None:
    """A saturation of 85 % that stays raises one alarm, a minute after it began."""
    detector = VitalsDetector()
    found = [(t, d) for t in range(300) for d in detector.on_reading(Reading("o", "spo2", float(t), 85.0), float(t))]
    assert [(t, d.reason) for t, d in found] == [(60, "news2_single_sign_3")]


CODES = (math.nan, math.inf, 0.0, -1.0, 2047.0, -2048.0, 8388607.0, True, "low")


@settings(max_examples=10)
@given(st.integers(0, 1_000), st.lists(st.tuples(st.integers(0, 899), st.integers(1, 120)), max_size=6))
def test_no_dropout_and_no_gap_ever_alarms(seed: int, holes: list[tuple[int, int]]) -> None:
    """Quarters of an hour of a well person in which every sensor now and then says nonsense, or nothing."""
    rng, detector = random.Random(seed), VitalsDetector()
    usual = {"heart_rate": 72.0, "respiration_rate": 15.0, "spo2": 97.0, "systolic": 128.0, "body_temperature": 36.7}
    found = []
    for t in range(900):
        lost = any(begin <= t < begin + length for begin, length in holes)
        for metric, value in usual.items():
            if lost and rng.random() < 0.5:
                continue
            said = rng.choice(CODES) if lost else value + rng.gauss(0, 0.3)
            found += detector.on_reading(Reading("m", metric, float(t), said), float(t))
        found += detector.on_tick(t + 0.5)
    assert found == []


def test_a_cuff_that_failed_is_not_a_low_pressure() -> None:
    """A systolic next to its diastolic, and the pair of an error code, are left out; a true low pair alarms."""
    detector, at = VitalsDetector(), 0.0
    for systolic, diastolic in ((80.0, 78.0), (2047.0, 2047.0), (60.0, 190.0)) * 5:
        for metric, value in (("systolic", systolic), ("diastolic", diastolic)):
            assert detector.on_reading(Reading("cuff", metric, at, value), at) == []
        at += 200
        assert detector.on_tick(at) == []
    assert detector.counts["cuff"] > 0
    found = []
    for _ in range(3):
        for metric, value in (("diastolic", 50.0), ("systolic", 84.0)):
            found += detector.on_reading(Reading("cuff", metric, at, value), at)
        at += 200
    assert [d.reason for d in found] == ["news2_single_sign_3"]


def test_a_jump_is_believed_once_it_is_confirmed() -> None:
    """One value of 160 between 70s is left out; a pulse that stays at 160 alarms."""
    detector = VitalsDetector()
    slips = [160.0 if t % 20 == 10 else 70.0 for t in range(200)]
    found = [d for t, v in enumerate(slips) for d in detector.on_reading(Reading("m", "heart_rate", t, v), t)]
    assert found == []
    assert detector.counts["jump"] == 10
    found = [d for t in range(200, 300) for d in detector.on_reading(Reading("m", "heart_rate", t, 160.0), t)]
    assert [d.reason for d in found] == ["news2_single_sign_3"]


def test_a_flat_line_is_no_pulse() -> None:
    """A sensor that stays at exactly 140 alarms while that can be, and is left out once it cannot."""
    detector = VitalsDetector()
    for t in range(0, 1_800, 20):
        detector.on_reading(Reading("m", "heart_rate", t, 140.0), t)
    assert detector.low_score(1_780) == 3
    for t in range(1_800, 3_000, 20):
        detector.on_reading(Reading("m", "heart_rate", t, 140.0), t)
    assert detector.counts["flat"] > 40
    assert detector.low_score(2_980) == 0


def test_a_device_that_moves_or_is_not_worn_tells_no_saturation() -> None:
    """Optical values in the seconds after a blow, and off the wrist, are left out."""
    detector = VitalsDetector()
    for t in range(0, 300, 5):
        detector.on_reading(Reading("w", "peak_acceleration", t, 30.0), t)
        assert detector.on_reading(Reading("w", "spo2", t + 1, 84.0), t + 1) == []
    detector.on_reading(Reading("w", "worn", 400, False), 400)
    found = [d for t in range(401, 600) for d in detector.on_reading(Reading("w", "spo2", t, 84.0), t)]
    assert found == []
    assert (detector.counts["motion"], detector.counts["not_worn"]) == (60, 199)


def test_a_restart_in_the_middle_of_a_dwell_changes_nothing() -> None:
    """The state, through JSON, raises and clears at the same moments."""
    values = [85.0] * 100 + [98.0] * 200
    plain, found, again = VitalsDetector(), [], []
    restarted = VitalsDetector()
    for t, value in enumerate(values):
        found += [(t, d) for d in plain.on_reading(Reading("o", "spo2", t, value), t)]
        if t % 37 == 30:
            text = json.dumps(restarted.state(), allow_nan=False)
            restarted = VitalsDetector()
            restarted.restore(json.loads(text))
        again += [(t, d) for d in restarted.on_reading(Reading("o", "spo2", t, value), t)]
    assert found == again
    assert [d.cleared for _, d in found] == [False, True]


@pytest.mark.parametrize("broken", [{}, {"v": 9}, {"v": 1}, {"v": 1, "artefacts": {"v": 1}}])
def test_a_state_that_is_none_changes_nothing(broken: dict[str, object]) -> None:
    """ValueError, and the detector is as before."""
    detector = VitalsDetector()
    detector.on_reading(Reading("o", "spo2", 5.0, 90.0), 5.0)
    before = detector.state()
    with pytest.raises(ValueError, match="vitals"):
        detector.restore(broken)
    assert detector.state() == before


@pytest.mark.parametrize("step", [-86_400.0, -30.0, 3_600.0, 86_400.0])
def test_a_clock_step_proves_no_dwell(step: float) -> None:
    """Two low values some seconds apart with a step of the clock between are no minute."""
    detector = VitalsDetector()
    found = [d for t in range(5) for d in detector.on_reading(Reading("o", "spo2", 1e9 + t, 85.0), 1e9 + t)]
    later = 1e9 + 5 + step
    found += [d for t in range(5) for d in detector.on_reading(Reading("o", "spo2", later + t, 85.0), later + t)]
    assert found == []


def charts(folder: Path) -> tuple[Path, Path]:
    """Twenty stays of 30 h; every second patient is badly off in the last day, and dies."""
    rng = random.Random(1)
    rows, truth = ["rid,min,p,v"], ["rid,died"]
    for patient in range(20):
        ill = patient % 2
        truth.append(f"{patient},{ill}")
        for hour in range(30):
            bad = ill and hour > 10
            for name, well, sick in (("HR", 75, 125), ("RespRate", 15, 27), ("NISysABP", 125, 95), ("GCS", 15, 11)):
                rows.append(f"{patient},{hour * 60},{name},{(sick if bad else well) + rng.randint(-1, 0)}")
            rows.append(f"{patient},{hour * 60},Temp,{-17.8 if hour % 9 == 5 else 36.9}")
    (folder / "stays.csv").write_text("\n".join(rows) + "\n")
    (folder / "truth.csv").write_text("\n".join(truth) + "\n")
    return folder / "stays.csv", folder / "truth.csv"


def test_charted_stays_are_told_apart_by_their_last_day(tmp_path: Path) -> None:
    """The area under the curve is 1 where those who die are worse, and errors of the chart raise nothing."""
    (stays, truth), out = charts(tmp_path), tmp_path / "out.json"
    assert main(["vitals", str(stays), "--truth", str(truth), "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    assert figures["auc_last_24h"] == 1.0
    assert figures["died_with_high_alarm_last_24h"] == 1.0
    assert figures["artefact_alarms"] == 0
    assert figures["readings_left_out"]["implausible"] == 60
    assert 15 <= figures["lead_time_h_median"] <= 20


def test_numerics(recordings: Path, tmp_path: Path) -> None:
    """On the 1 Hz numerics the command counts patients, alarms and the readings left out."""
    file, out = recordings / "vitals" / "bidmc_numerics_1hz.csv", tmp_path / "out.json"
    with file.open() as lines:
        breaths = [float(row["RESP"]) for row in csv.DictReader(lines) if row["RESP"]]
    assert main(["vitals", str(file), "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    assert figures["patients"] == 26
    assert figures["readings_left_out"]["implausible"] == sum(b < 3 for b in breaths)


@pytest.mark.parametrize("first", ["spo2", "perfusion_index"])
def test_a_saturation_without_a_pulse_at_the_finger_is_not_believed(first: str) -> None:
    """With a perfusion index below 0.3 % a low saturation raises nothing, whichever of the two comes first."""
    detector, found = VitalsDetector(), []
    pair = [("spo2", 84.0), ("perfusion_index", 0.15)]
    for t in range(300):
        for metric, value in sorted(pair, key=lambda p: p[0] != first):
            found += detector.on_reading(Reading("o", metric, t, value), t)
        found += detector.on_reading(Reading("o", "heart_rate", t, 70.0 + t % 2), t)
        found += detector.on_tick(t + 0.5)
    assert found == []
    assert detector.counts["perfusion"] >= 300
    for t in range(300, 400):
        found += detector.on_reading(Reading("o", "perfusion_index", t, 2.5), t)
        found += detector.on_reading(Reading("o", "spo2", t, 84.0), t)
    assert [d.reason for d in found] == ["news2_single_sign_3"]


def test_an_oximeter_that_falls_off_is_no_recovery() -> None:
    """No value is no good value: the alarm stays; a low value later is a new detection; good ones end it."""
    detector = VitalsDetector()

    def minutes(begin: int, end: int, value: float | None) -> list[str]:
        said = []
        for t in range(begin * 60, end * 60, 5):
            if value is not None:
                said += detector.on_reading(Reading("o", "spo2", t, value), t)
            said += detector.on_tick(t)
        return [d.reason for d in said]

    assert minutes(0, 5, 85.0) == ["news2_single_sign_3"]
    assert minutes(5, 60, None) == []
    state = json.loads(json.dumps(detector.state()))
    detector = VitalsDetector()
    detector.restore(state)
    assert minutes(60, 65, 85.0) == ["news2_single_sign_3"]
    assert minutes(65, 75, 97.0) == ["condition_ended"]


def test_the_evidence_names_what_is_missing_and_what_is_stale() -> None:
    """A temperature of five hours ago is stale and not shown as a value; a pressure never measured is missing."""
    detector, hours5 = VitalsDetector(), 5 * 3600.0
    detector.on_reading(Reading("t", "body_temperature", 0.0, 36.8), 0.0)
    found = []
    for t in range(0, 200, 5):
        found += detector.on_reading(Reading("o", "spo2", hours5 + t, 85.0), hours5 + t)
    numbers = found[0].evidence[0].numbers
    assert numbers["spo2"] == 85.0
    assert numbers["systolic_missing"] == 1.0
    assert numbers["temperature_stale_s"] == pytest.approx(hours5 + 60)
    assert "temperature" not in numbers
    assert "systolic_score" not in numbers
