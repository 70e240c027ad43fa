"""How sure a detector is of what it measured, or of a rule that it learned. Pure formulas, from 0.5 to 1.

A confidence says how likely it is that the condition holds as told. Whether help is worth sending is the priority's
business, and no doubt lowers that of a fall, a call, a vital sign or a danger of the home (edge.alarms.weighing).
"""

from __future__ import annotations

import math


def beyond(margin: float, error: float) -> float:
    """Probability that the true figure lies beyond a limit which the measured one has passed by `margin`, where the
    measurement errs by `error` (one standard deviation of a normal error, in the same unit, above 0): 0.5 at the limit
    and short of it (the rule has found it passed), 0.84 at one error, 0.98 at two.
    """
    return 0.5 * (1.0 + math.erf(max(margin, 0.0) / (error * math.sqrt(2.0))))


def unlike(known: int) -> float:
    """How sure it is that something is odd which nothing among `known` days, nights or stays was like: by chance alone
    one in `known` + 1 is the oddest of all. 0.5 for one.
    """
    return 1.0 - 1.0 / (max(known, 1) + 1)


def freshness(age_s: float, limit_s: float) -> float:
    """What a value is still worth at `age_s`, if it is forgotten at `limit_s`: 1 when new, half at the limit."""
    return 1.0 - 0.5 * min(max(age_s / limit_s, 0.0), 1.0)
