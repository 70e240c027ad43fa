"""Asks the cloud's enrolment endpoint for a certificate."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

_TIMEOUT_S = 20.0
_MAX_ANSWER_BYTES = 64_000
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class EnrolmentError(Exception):
    """No certificate was given. `final`: asking again in the same way is of no use."""

    def __init__(self, message: str, *, code: str = "", final: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.final = final


class Answer(msgspec.Struct, frozen=True):
    """What the cloud gives; `expires_at` is Unix seconds."""

    gateway: str
    certificate: str
    authority: str
    expires_at: float
    broker_host: str
    broker_port: int


@dataclass(frozen=True, slots=True)
class EnrolmentClient:
    """The endpoint at `url`; `ca_file` is whom to trust instead of the system's authorities."""

    url: str
    ca_file: Path | None = None

    def enrol(self, token: str, csr: str) -> Answer:
        """A first certificate. Raises EnrolmentError."""
        return self._post("", {"token": token, "csr": csr})

    def renew(self, certificate: str, csr: str, signature: str) -> Answer:
        """A new certificate for the present one. Raises EnrolmentError."""
        return self._post("/renewal", {"certificate": certificate, "csr": csr, "signature": signature})

    def _post(self, path: str, body: dict[str, Any]) -> Answer:
        check_url(self.url)
        address = f"{self.url.rstrip('/')}/api/v1/enrolment{path}"
        try:
            verify = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
            with httpx.Client(verify=verify, timeout=_TIMEOUT_S, trust_env=False) as client:
                response = client.post(address, json=body, headers={"X-Requested-With": "anju"})
        except (httpx.HTTPError, OSError) as error:
            raise EnrolmentError(f"{address}: {error}") from None
        if response.status_code != httpx.codes.OK:
            raise _refused(address, response)
        if len(response.content) > _MAX_ANSWER_BYTES:
            raise EnrolmentError(f"{address}: the answer has {len(response.content)} bytes", final=True)
        try:
            return msgspec.json.decode(response.content, type=Answer)
        except msgspec.DecodeError as error:
            raise EnrolmentError(f"{address}: the answer is not one of Anju's: {error}", final=True) from None


def check_url(url: str) -> None:
    """Only https, except to this machine itself. Raises EnrolmentError."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return
    raise EnrolmentError(f"{url!r}: an https address is needed", final=True)


def _refused(address: str, response: httpx.Response) -> EnrolmentError:
    try:
        problem = msgspec.json.decode(response.content[:_MAX_ANSWER_BYTES], type=dict[str, Any])
    except msgspec.DecodeError:
        problem = {}
    code, detail = str(problem.get("code", "")), str(problem.get("detail", ""))[:300]
    final = response.status_code in (403, 409, 422)
    return EnrolmentError(f"{address}: {response.status_code} {code} {detail}".rstrip(), code=code, final=final)
