"""What can go wrong when a gateway asks for a certificate, each with a stable code."""

from __future__ import annotations

from enum import StrEnum


class EnrolmentReason(StrEnum):
    """Why no certificate is given."""

    TOKEN_UNKNOWN = "token_unknown"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_USED = "token_used"
    REQUEST_INVALID = "request_invalid"
    KEY_TOO_WEAK = "key_too_weak"
    CERTIFICATE_UNKNOWN = "certificate_unknown"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_REVOKED = "certificate_revoked"
    SIGNATURE_WRONG = "signature_wrong"
    GATEWAY_REVOKED = "gateway_revoked"


class EnrolmentError(ValueError):
    """A request is refused; `reason` is for programs, the message for people."""

    def __init__(self, reason: EnrolmentReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class AuthorityError(Exception):
    """The authority's folder cannot be used; the message says which file and why."""
