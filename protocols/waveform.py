"""Waveform frames of the home broker: raw signal as int16 samples in a small checked binary frame.

Layout, little endian: magic "AW", version u8, device length u8, device (ASCII), seq u32, start f64 (Unix seconds of
the first sample, 0: the device has no clock), rate f32 (Hz), scale f32 (g per step), full_scale f32 (g), gyro_scale
f32 (degrees/s per step, 0 without a gyroscope), channels u16 (bit mask), count u16, samples int16 (count x channels,
row by row), CRC-32 of all before.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.errors import ProtocolError, Reason
from protocols.topics import check_identifier
from protocols.wire import LATEST_TIME

MAGIC: Final = b"AW"
VERSION: Final = 1
MAX_FRAME_BYTES: Final = 32 * 1024
MAX_SAMPLES: Final = 4096
CHANNELS: Final = ("ax", "ay", "az", "gx", "gy", "gz", "ppg")
"""Names by bit, lowest first: acceleration, rotation, photoplethysmogram."""

_HEAD = struct.Struct("<2sBB")
_BODY = struct.Struct("<IdffffHH")
_CRC = struct.Struct("<I")


@dataclass(frozen=True, slots=True, eq=False)
class WaveFrame:
    """One frame; `samples` has shape (n, len(channels)), int16, its first row taken at `start`."""

    device: str
    seq: int
    start: float
    rate_hz: float
    scale: float
    full_scale_g: float
    gyro_scale: float
    channels: tuple[str, ...]
    samples: NDArray[np.int16]


def encode_wave(frame: WaveFrame) -> bytes:
    """Encode a frame; raises ProtocolError if it could not be decoded again."""
    mask = sum(1 << CHANNELS.index(name) for name in frame.channels)
    device = frame.device.encode("ascii", "replace")
    head = _HEAD.pack(MAGIC, VERSION, min(len(device), 255)) + device
    numbers = (frame.seq, frame.start, frame.rate_hz, frame.scale, frame.full_scale_g, frame.gyro_scale)
    body = head + _BODY.pack(*numbers, mask, len(frame.samples)) + frame.samples.astype("<i2").tobytes()
    data = body + _CRC.pack(zlib.crc32(body))
    decode_wave(data)
    return data


def decode_wave(data: bytes) -> WaveFrame:
    """Decode and check a frame; raises ProtocolError and nothing else, on any bytes."""
    if len(data) > MAX_FRAME_BYTES:
        raise ProtocolError(Reason.OVERSIZED, "frame", f"{len(data)} bytes, at most {MAX_FRAME_BYTES}")
    if len(data) < _HEAD.size:
        raise ProtocolError(Reason.MALFORMED, "frame", f"{len(data)} bytes are too short for a head")
    magic, version, length = _HEAD.unpack_from(data)
    if magic != MAGIC:
        raise ProtocolError(Reason.MALFORMED, "frame.magic", f"{magic!r} is not {MAGIC!r}")
    if version != VERSION:
        raise ProtocolError(Reason.WRONG_VERSION, "frame.version", f"{version} is not {VERSION}")
    body_at = _HEAD.size + length
    samples_at = body_at + _BODY.size
    if len(data) < samples_at + _CRC.size:
        raise ProtocolError(Reason.MALFORMED, "frame", f"{len(data)} bytes are too short for what the head announces")
    if zlib.crc32(data[: -_CRC.size]) != _CRC.unpack_from(data, len(data) - _CRC.size)[0]:
        raise ProtocolError(Reason.BAD_CHECKSUM, "frame.crc", "does not match the content")
    device = check_identifier(data[_HEAD.size : body_at].decode("ascii", "replace"), "frame.device")
    seq, start, rate, scale, full_scale, gyro_scale, mask, count = _BODY.unpack_from(data, body_at)
    channels = tuple(name for i, name in enumerate(CHANNELS) if mask >> i & 1)
    if not channels or mask >> len(CHANNELS):
        raise ProtocolError(Reason.MALFORMED, "frame.channels", f"mask {mask:#x} is empty or names unknown channels")
    if not 0 < count <= MAX_SAMPLES or len(data) != samples_at + 2 * count * len(channels) + _CRC.size:
        raise ProtocolError(Reason.MALFORMED, "frame.count", f"{count} samples do not fit {len(data)} bytes")
    _check("start", start, 0.0, LATEST_TIME)
    _check("rate", rate, 0.1, 5_000.0)
    _check("scale", scale, 1e-9, 1.0)
    _check("full_scale", full_scale, 1e-3, 1_000.0)
    _check("gyro_scale", gyro_scale, 0.0, 100.0)
    samples = np.frombuffer(data, "<i2", count * len(channels), samples_at).reshape(count, len(channels))
    return WaveFrame(device, seq, start, rate, scale, full_scale, gyro_scale, channels, samples)


def _check(field: str, value: float, low: float, high: float) -> None:
    if not math.isfinite(value):
        raise ProtocolError(Reason.NOT_FINITE, f"frame.{field}", "is not a finite number")
    if not low <= value <= high:
        raise ProtocolError(Reason.OUT_OF_RANGE, f"frame.{field}", f"{value:g} is outside {low:g} to {high:g}")
