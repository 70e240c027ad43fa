"""Limits of the trend rules, each with where it comes from; the text of a source is not copied, only its figure.

"Read as others quote it" means that the source itself was not at hand, but a text that gives its figure was.
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
    "NICE NG136, hypertension of stage 1 by a home average of 135/85 mmHg or higher; the same figure in Hypertension "
    "Canada's guidelines and in J Clin Hypertens 20 (2018) 1116, table 3. The position paper of the European Society "
    "of Hypertension (Parati et al., J Hypertens 39 (2021) 1742) read as others quote it"
)
_GRADE_3 = (
    "grade 3 of the European Society of Hypertension (2007 to 2023): 180 or 110 mmHg and more, in the surgery. The "
    "European Society of Cardiology (2024, read as others quote it) wants an emergency ruled out at that and a second "
    "measurement within a week; NICE NG136 calls a pressure in the surgery very high from 180/120"
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
        "in NEWS2, here as the mean of a week. Below 90 is the figure most often met",
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
        "once, above 37.2 repeatedly, or more than 1.1 °C above the own baseline (read as others quote it). Own "
        "choice: two values, because one slips, and 37.2 only as the least for a rise, because nobody knows where a "
        "home thermometer is put",
    ),
    "hypothermia": Limit(
        35.0,
        35.5,
        Priority.MEDIUM,
        "definition of hypothermia (American Heart Association 2024, read as others quote it: of the core, which a "
        "home thermometer does not reach); 3 points of NEWS2 (RCP 2017) at 35.0 and less",
    ),
}


def reason_of(name: str) -> str:
    """The reason that a limit is told by: both pressures are one to a person."""
    return name.replace("diastolic", "pressure")


FEVER_LEAST, FEVER_RISE = 37.2, 1.1
"""With a baseline: so far above it is fever, but nothing at or below the first is (source: `fever`)."""
FLUID_DAYS = 3.0
WEEK_DAYS, LEAST_DAYS, LEAST_VALUES = 7.0, 3, 6
"""A mean of pressures is of seven days, and wants three days and six values. A diagnosis wants seven days, not less
than four, and twelve values (J Clin Hypertens 20 (2018) 1116, table 3); this is a notice, and elders measure once or
twice a day (own choice).
"""
OTHER_PERSON_KG = 8.0
"""A weight this far from the last days' is somebody else's on the same scale. Own choice: five times the fluid gain."""
AGREE_S = {"glucose": 1_800.0, "body_temperature": 6 * 3600.0, "systolic": 1_800.0, "diastolic": 1_800.0}
"""Two values this close agree. Own choice: a repeated measurement; temperatures are taken a few times a day."""
