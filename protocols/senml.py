"""SenML packs (RFC 8428): JSON records with base fields in, resolved records out."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Struct

from protocols.errors import ProtocolError, Reason

MAX_PACK_BYTES: Final = 64 * 1024
MAX_PACK_RECORDS: Final = 1_000
RELATIVE_BELOW: Final = 2.0**28
"""Times below this count from now (RFC 8428, section 4.5.3)."""

VERSION: Final = 10
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-:./_]{0,127}\Z")


class Record(Struct, frozen=True, omit_defaults=True):
    """One SenML record as it stands on the wire; RFC 8428 table 1 names the fields."""

    bn: str | None = None
    bt: float | None = None
    bu: str | None = None
    bv: float | None = None
    bs: float | None = None
    bver: int | None = None
    n: str | None = None
    u: str | None = None
    v: float | None = None
    vs: str | None = None
    vb: bool | None = None
    vd: str | None = None
    s: float | None = None
    t: float | None = None
    ut: float | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """A record with all base fields applied: full name, absolute Unix time, its value.

    `index` is its place in the pack. A record that carries only a sum or binary data (`vd`) has no `value`.
    """

    index: int
    name: str
    unit: str | None
    at: float
    value: float | bool | str | None
    sum: float | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[Record])
_fields_decoder = msgspec.json.Decoder()


def encode_pack(records: Sequence[Record]) -> bytes:
    """Encode records as a SenML JSON pack (application/senml+json)."""
    return _encoder.encode(records)


def decode_pack(data: bytes) -> list[Record]:
    """Decode a pack; raises ProtocolError and nothing else, on any bytes."""
    if len(data) > MAX_PACK_BYTES:
        raise ProtocolError(Reason.OVERSIZED, "pack", f"{len(data)} bytes, at most {MAX_PACK_BYTES}")
    try:
        records = _decoder.decode(data)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at ")
        raise ProtocolError(Reason.MALFORMED, f"records{path.strip('`').removeprefix('$')}", what) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(Reason.MALFORMED, "pack", str(error)) from None
    if not 0 < len(records) <= MAX_PACK_RECORDS:
        raise ProtocolError(Reason.OVERSIZED, "pack", f"{len(records)} records, 1 to {MAX_PACK_RECORDS} are allowed")
    check_must_understand(data, "pack")
    return records


def check_must_understand(data: bytes, where: str) -> None:
    """Refuse an unknown field whose name ends in an underscore (RFC 8428, section 4.4); `data` is known to be valid
    JSON.

    The byte search keeps this free for packs without any such field.
    """
    if b'_"' in data:
        _look_for_underscore(_fields_decoder.decode(data), where)


def _look_for_underscore(value: object, where: str) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if str(key).endswith("_"):
                raise ProtocolError(Reason.MALFORMED, f"{where}.{key:.40}", "must be understood, and is not known here")
            _look_for_underscore(inner, f"{where}.{key:.40}")
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            _look_for_underscore(inner, f"{where}[{i}]")


def resolve(records: Sequence[Record], now: float) -> list[Resolved]:
    """Apply base fields and relative times as RFC 8428, section 4.6; `now` is Unix seconds.

    Records that only set base fields yield nothing. Raises ProtocolError naming ``records[i].field``.
    """
    base_name, base_time, base_unit, base_value, base_sum = "", 0.0, None, 0.0, 0.0
    resolved: list[Resolved] = []
    for i, r in enumerate(records):
        if r.bver is not None and r.bver != VERSION:
            raise ProtocolError(Reason.WRONG_VERSION, f"records[{i}].bver", f"{r.bver} is not {VERSION}")
        base_name = r.bn if r.bn is not None else base_name
        base_time = r.bt if r.bt is not None else base_time
        base_unit = r.bu if r.bu is not None else base_unit
        base_value = r.bv if r.bv is not None else base_value
        base_sum = r.bs if r.bs is not None else base_sum
        values = (r.v is not None) + (r.vs is not None) + (r.vb is not None) + (r.vd is not None)
        if values == 0 and r.s is None:
            if r.n is None and r.t is None and r.u is None:
                continue
            raise ProtocolError(Reason.MALFORMED, f"records[{i}]", "has neither a value nor a sum")
        if values > 1:
            raise ProtocolError(Reason.MALFORMED, f"records[{i}]", "has more than one value")
        name = base_name + (r.n or "")
        if not _NAME.match(name):
            raise ProtocolError(Reason.MALFORMED, f"records[{i}].n", f"{name[:80]!r} is not a SenML name")
        at = base_time + (r.t or 0.0)
        if at < RELATIVE_BELOW:
            at += now
        number = None if r.v is None else r.v + base_value
        total = None if r.s is None else r.s + base_sum
        for field, figure in (("t", at), ("v", number), ("s", total)):
            if figure is not None and not math.isfinite(figure):
                raise ProtocolError(Reason.NOT_FINITE, f"records[{i}].{field}", "is not a finite number")
        value = number if number is not None else r.vb if r.vb is not None else r.vs
        resolved.append(Resolved(i, name, r.u if r.u is not None else base_unit, at, value, total))
    return resolved
