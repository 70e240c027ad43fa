"""What sources hand to the rest of the gateway: the home's devices, single readings and frames of signal."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from protocols.metrics import Value


class DeviceRole(StrEnum):
    """What a device in the home is; the configuration says it, nothing is guessed."""

    WEARABLE = "wearable"
    OXIMETER = "oximeter"
    CUFF = "cuff"
    THERMOMETER = "thermometer"
    MOTION = "motion"
    CONTACT = "contact"
    BED = "bed"
    SEAT = "seat"
    SOS = "sos"
    SMOKE = "smoke"
    GPS = "gps"
    SPEAKER = "speaker"
    BUTTON = "button"
    PRESENCE = "presence"
    FLOOD = "flood"
    GAS = "gas"
    CLIMATE = "climate"
    SCALE = "scale"
    BEACON = "beacon"
    SWITCH = "switch"
    SIREN = "siren"
    STOVE = "stove"


class BodyPosition(StrEnum):
    """Where a wearable is worn."""

    WAIST = "waist"
    WRIST = "wrist"
    UNKNOWN = "unknown"


class Sensitivity(StrEnum):
    """How readily falls are called; what each step finds and costs stands in docs/fall-model.md."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Device:
    """One configured device; `interval_s` is how often it is expected to report (None: only when something happens).

    `source` is the dialect it speaks (`anju`: home/v1 topics) and `address` its name there. `actions` says what its
    button presses mean: "cancel", "help" or "sos". `person` is whose it is, where more than one lives in the home.
    """

    id: str
    role: DeviceRole
    room: str | None = None
    position: BodyPosition = BodyPosition.UNKNOWN
    interval_s: float | None = None
    source: str = "anju"
    address: str | None = None
    person: str | None = None
    actions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one metric (protocols.metrics, in its unit) of one device; `at` is Unix seconds."""

    device: str
    metric: str
    at: float
    value: Value


@dataclass(frozen=True, slots=True)
class SignalFrame:
    """Evenly sampled signal of one device: `samples` has shape (n, channels), float32, first sample at `at`.

    `channels` names the columns: ax ay az in g, gx gy gz in degrees a second. `full_scale_g` is where the
    accelerometer clips. Frames of one device with consecutive `seq` follow each other without a gap, whatever their
    time stamps say.
    """

    device: str
    seq: int
    at: float
    rate_hz: float
    channels: tuple[str, ...]
    samples: NDArray[np.float32]
    full_scale_g: float
