"""How a gateway gets its certificate: a first one for a token, a new one for the one it has."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from cloud.api.models import View
from cloud.api.problems import RESPONSES, ApiError
from cloud.api.sessions import Guessing, InContext
from cloud.context import Context
from cloud.enrolment import service
from cloud.enrolment.authority import Authority, load
from cloud.enrolment.errors import AuthorityError, EnrolmentError, EnrolmentReason

log = structlog.get_logger()

router = APIRouter(
    prefix="/enrolment", tags=["enrolment"], responses={k: v for k, v in RESPONSES.items() if k in (403, 409, 422)}
)
Pem = Annotated[str, Field(min_length=1, max_length=8_000)]
_CONFLICTS = frozenset({EnrolmentReason.TOKEN_USED, EnrolmentReason.GATEWAY_REVOKED})
_MALFORMED = frozenset({EnrolmentReason.REQUEST_INVALID, EnrolmentReason.KEY_TOO_WEAK})


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FirstRequest(_Body):
    """A token, and a request (PEM) for a key made on the device."""

    token: Annotated[str, Field(min_length=8, max_length=100)]
    csr: Pem


class RenewalRequest(_Body):
    """The present certificate, a new request, and the base64 ECDSA-SHA256 of the request's text by the present key."""

    certificate: Pem
    csr: Pem
    signature: Annotated[str, Field(min_length=1, max_length=400)]


class Credentials(View):
    """Who the gateway is, its certificate, whom it trusts, and where the broker is."""

    gateway: str
    certificate: str
    authority: str
    expires_at: float
    broker_host: str
    broker_port: int


def _authority(context: InContext) -> Authority:
    folder = context.config.enrolment.ca_dir
    if folder is None:
        raise ApiError(503, "no_authority", "enrolment.ca_dir is not set here")
    try:
        return load(folder)
    except AuthorityError as error:
        raise ApiError(503, "no_authority", str(error)) from None


InAuthority = Annotated[Authority, Depends(_authority)]


@router.post("", operation_id="enrol")
async def enrol(body: FirstRequest, request: Request, context: InContext, authority: InAuthority) -> Credentials:
    """A first certificate; asking again with the same token and key gives the same one."""
    guessing: Guessing = request.app.state.guessing
    key = f"enrolment from {request.client.host if request.client else '?'}"
    guessing.check(key)
    days = context.config.enrolment.certificate_days
    try:
        async with context.work() as work:
            enrolled = await service.enrol(work, authority, body.token, body.csr, days)
    except EnrolmentError as error:
        guessing.failed(key)
        raise _refused(error) from None
    return _credentials(context, authority, enrolled)


@router.post("/renewal", operation_id="renewCertificate")
async def renew(body: RenewalRequest, context: InContext, authority: InAuthority) -> Credentials:
    """A new certificate for a gateway that proves that it has the present key."""
    days = context.config.enrolment.certificate_days
    try:
        signature = base64.b64decode(body.signature, validate=True)
    except (binascii.Error, ValueError):
        raise ApiError(422, "malformed", "signature: is no base64") from None
    try:
        async with context.work() as work:
            enrolled = await service.renew(work, authority, body.certificate, body.csr, signature, days)
    except EnrolmentError as error:
        raise _refused(error) from None
    return _credentials(context, authority, enrolled)


def _credentials(context: Context, authority: Authority, enrolled: service.Enrolled) -> Credentials:
    section = context.config.enrolment
    log.info("certificate_issued", gateway=enrolled.gateway, expires_at=enrolled.expires_at)
    return Credentials(
        gateway=enrolled.gateway,
        certificate=enrolled.certificate,
        authority=authority.pem,
        expires_at=enrolled.expires_at,
        broker_host=section.broker_host,
        broker_port=section.broker_port,
    )


def _refused(error: EnrolmentError) -> ApiError:
    status = 409 if error.reason in _CONFLICTS else 422 if error.reason in _MALFORMED else 403
    log.warning("enrolment_refused", reason=error.reason, what=str(error))
    return ApiError(status, error.reason, str(error))
