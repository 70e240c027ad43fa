"""One subject's stream through the fall detector, as a gateway would hear it: also one that loses its power."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edge.detectors.fall import SILENT_S, FallDetector
from edge.detectors.fall_model import FallModel, load_model
from edge.evaluate.joining import FRAME_S, Stream, frames
from edge.evaluate.report import FormatError

POWERED_S = 10.0
"""With `away_s`, the power stays for at least so long after a restart: else nothing would ever be judged."""


@dataclass(slots=True)
class Played:
    """When each alarm was given: the end of the frame that completed it, or, where the signal broke off, the moment the
    detector concluded that nothing more would come. `kept`: when an impact was kept on flash, `cuts`: when the power
    went; Unix seconds. `counts`: what the detector looked at and left out (ImpactFinder).
    """

    alarms: list[float] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)
    cuts: list[float] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def model_of(path: Path) -> FallModel:
    """The model in a file that an option names. Raises FormatError, OSError."""
    try:
        return load_model(path)
    except ValueError as error:
        raise FormatError(str(error)) from None


def play(
    stream: Stream, make: Callable[[], FallDetector], dropout: float = 0.0, seed: int = 0, away_s: float | None = None
) -> Played:
    """The detector hears the whole stream and is never reset. With `away_s` the gateway loses its power as soon as a
    kept impact is on flash, and is back after so long; what the wearable sent meanwhile is lost.
    """
    detector, played = make(), Played()
    end = back = known = None
    for frame in frames(stream, "recording", FRAME_S, dropout, seed):
        if back is not None and frame.at < back:
            continue
        if end is not None and frame.at - end > SILENT_S and (back is None or end > back):
            played.alarms += _after_silence(detector, end)
        end = frame.at + len(frame.samples) / frame.rate_hz
        played.alarms += [end for _ in detector.on_frame(frame)]
        urgent = detector.urgent()
        if urgent is None or urgent == known:
            continue
        known = urgent
        played.kept.append(end)
        if away_s is not None and (back is None or end >= back + POWERED_S):
            played.counts += detector.counts
            state, detector, back = json.dumps(detector.state()), make(), end + away_s
            detector.restore(json.loads(state))
            played.cuts.append(end)
    if end is not None:
        played.alarms += _after_silence(detector, end)
    played.counts += detector.counts
    return played


def _after_silence(detector: FallDetector, end: float) -> list[float]:
    detector.on_tick(end)
    return [end + SILENT_S for _ in detector.on_tick(end + SILENT_S)]
