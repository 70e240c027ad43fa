"""What the SMS provider calls: replies and receipts, signed by Standard Webhooks."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import ValidationError

from cloud.api.models import Inbound, InboundMessage, Receipt
from cloud.api.problems import RESPONSES, ApiError
from cloud.api.sessions import InContext
from cloud.context import Context
from cloud.dispatch.replies import receive_receipt, receive_reply
from cloud.notify.webhook import MAX_BODY_BYTES, SignatureError, verify

router = APIRouter(
    prefix="/hooks/sms", tags=["hooks"], responses={k: v for k, v in RESPONSES.items() if k in (401, 422)}
)


async def _verified(request: Request, context: Context) -> Inbound:
    key: bytes | None = request.app.state.inbound_key
    if key is None:
        raise ApiError(401, "not_configured", "notify.inbound_secret_file is not set")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ApiError(413, "oversized", f"at most {MAX_BODY_BYTES} bytes")
    try:
        verify(key, request.headers, body, context.now())
        return Inbound.model_validate_json(body)
    except SignatureError as error:
        raise ApiError(401, "bad_signature", str(error)) from None
    except ValidationError as error:
        raise ApiError(422, "malformed", _first(error)) from None


def _first(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])


@router.post("/inbound", operation_id="smsInbound")
async def inbound(request: Request, context: InContext) -> dict[str, str]:
    """A person has answered; says what became of it."""
    event = await _verified(request, context)
    try:
        message = InboundMessage.model_validate(event.data)
    except ValidationError as error:
        raise ApiError(422, "malformed", _first(error)) from None
    return {"result": await receive_reply(context, message.id, message.from_, message.text)}


@router.post("/receipt", operation_id="smsReceipt")
async def receipt(request: Request, context: InContext) -> dict[str, str]:
    """A message was delivered, or not."""
    event = await _verified(request, context)
    try:
        received = Receipt.model_validate(event.data)
    except ValidationError as error:
        raise ApiError(422, "malformed", _first(error)) from None
    delivered = received.status == "delivered"
    known = await receive_receipt(context, received.message_id, delivered=delivered, detail=received.detail)
    return {"result": "noted" if known else "unknown"}
