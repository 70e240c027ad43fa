"""Errors every decoder raises, each with a reason code that counters, quarantine and rejections carry unchanged."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a message or one of its values was refused; stable on the wire, in metrics and in the database."""

    MALFORMED = "malformed"
    OVERSIZED = "oversized"
    WRONG_VERSION = "wrong_version"
    WRONG_TOPIC = "wrong_topic"
    WRONG_HOME = "wrong_home"
    UNKNOWN_GATEWAY = "unknown_gateway"
    UNKNOWN_DEVICE = "unknown_device"
    UNKNOWN_METRIC = "unknown_metric"
    WRONG_UNIT = "wrong_unit"
    WRONG_TYPE = "wrong_type"
    OUT_OF_RANGE = "out_of_range"
    NOT_FINITE = "not_finite"
    TOO_OLD = "too_old"
    IN_FUTURE = "in_future"
    BAD_SEQUENCE = "bad_sequence"
    BAD_CHECKSUM = "bad_checksum"
    DUPLICATE = "duplicate"
    REFUSED_BY_STORE = "refused_by_store"


class ProtocolError(ValueError):
    """A message that breaks the contract.

    `where` names the place (a topic, a field path such as ``records[3].v``), `what` says what is wrong with it.
    """

    def __init__(self, reason: Reason, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.reason = reason
        self.where = where
        self.what = what
