"""Limits of the trend rules, each with where it comes from; the text of a source is not copied, only its figure.

What says "not re-read" was not found in a text that could be read while this was written.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocols.wire import Priority

_OWN_WELL = "own choice, so that a figure that hovers at the limit is one notice"


@dataclass(frozen=True, slots=True)
class Limit:
    """A rule speaks beyond `limit` and may speak again once the figure has reached `well`; unit of its metric."""

    limit: float
    well: float
    priority: Priority
    source: str
    well_source: str = _OWN_WELL


_HOME_PRESSURE = (
    "Parati et al., Home blood pressure monitoring, position paper of the European Society of Hypertension, "
    "J Hypertens 39 (2021) 1742 (its figure from memory, not re-read); the same figure in NICE NG136, hypertension of "
    "stage 1 by a home average of 135/85 mmHg or higher"
)
_GRADE_3 = (
    "grade 3 of the European Society of Hypertension (2007 to 2023): 180 or 110 mmHg and more; that it needs no second "
    "occasion is from memory, not re-read"
)
_LOW_GLUCOSE = (
    "American Diabetes Association, Standards of Care 2024, section 6 (abridged in Clin Diabetes 42:196): level 1 "
    "below 3.9, level 2 below 3.0 mmol/l"
)

LIMITS: dict[str, Limit] = {
    "fluid_gain": Limit(
        1.5,
        1.0,
        Priority.LOW,
        "asked for by this project (kg within three days); the European Society of Cardiology's pages for patients "
        "(heartfailurematters.org) have them report more than 2 kg in three days, so this speaks earlier",
    ),
    "pressure_high": Limit(135, 130, Priority.LOW, _HOME_PRESSURE),
    "diastolic_high": Limit(85, 82, Priority.LOW, _HOME_PRESSURE),
    "pressure_very_high": Limit(180, 165, Priority.MEDIUM, _GRADE_3),
    "diastolic_very_high": Limit(110, 100, Priority.MEDIUM, _GRADE_3),
    "pressure_low": Limit(
        100,
        105,
        Priority.LOW,
        "own choice: no single figure is accepted as hypotension (BMJ Best Practice 1196); 100 is the edge of 2 points "
        "in NEWS2, here as the mean of a week",
    ),
    "glucose_low": Limit(3.9, 4.4, Priority.MEDIUM, _LOW_GLUCOSE),
    "glucose_very_low": Limit(3.0, 3.9, Priority.HIGH, _LOW_GLUCOSE, "level 1 of the same source"),
    "glucose_high": Limit(
        13.9,
        12.0,
        Priority.LOW,
        "Agiostratidou et al., consensus report, Diabetes Care 40 (2017) 1622: level 2 of hyperglycaemia above 13.9",
    ),
    "fever": Limit(
        37.8,
        37.4,
        Priority.LOW,
        "High et al., IDSA guideline for elders in care homes, Clin Infect Dis 48 (2009) 149: by mouth above 37.8 "
        "once, above 37.2 repeatedly, or more than 1.1 °C above the own baseline (read as others quote it)",
    ),
    "hypothermia": Limit(
        35.0, 35.5, Priority.MEDIUM, "definition of hypothermia (of the core); 3 points of NEWS2 (RCP 2017)"
    ),
}


def reason_of(name: str) -> str:
    """The reason that a limit is told by: both pressures are one to a person."""
    return name.replace("diastolic", "pressure")


FEVER_LEAST, FEVER_RISE = 37.2, 1.1
"""With a baseline: so far above it is fever, but nothing at or below the first is (source: `fever`)."""
FLUID_DAYS = 3.0
WEEK_DAYS, LEAST_DAYS, LEAST_VALUES = 7.0, 3, 6
"""A mean of pressures is of seven days, and wants three days and six values. ESH asks twelve values for a diagnosis;
this is a notice, and elders measure once or twice a day (own choice; ESH's twelve from memory, not re-read)."""
OTHER_PERSON_KG = 8.0
"""A weight this far from the last days' is somebody else's on the same scale. Own choice: five times the fluid gain."""
AGREE_S = {"glucose": 1_800.0, "body_temperature": 6 * 3600.0, "systolic": 1_800.0, "diastolic": 1_800.0}
"""Two values this close agree. Own choice: a repeated measurement; temperatures are taken a few times a day."""
