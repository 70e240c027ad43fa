"""The HTTP side: the SMS provider's webhook, a page with all phones, a way to answer."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import httpx
from fastapi import FastAPI, Form, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader
from pydantic import BaseModel, Field
from standardwebhooks.webhooks import WebhookVerificationError

from firmware_sim.phones.network import PhoneNetwork

_MAX_BODY_BYTES = 20_000


class Answer(BaseModel):
    """A person writes."""

    phone: Annotated[str, Field(pattern=r"^\+?[0-9]{5,20}$")]
    text: Annotated[str, Field(min_length=1, max_length=500)]


def build_app(network: PhoneNetwork, names: dict[str, str]) -> FastAPI:
    """The application; `names` says whose phone a number is."""
    app = FastAPI(title="Anju simulated phones", docs_url=None, redoc_url=None, openapi_url=None)
    client = httpx.AsyncClient(timeout=10, trust_env=False)
    receipts: set[asyncio.Task[None]] = set()
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)

    @app.post("/sms")
    async def sms(request: Request) -> Response:
        """What the cloud calls to send an SMS."""
        body = await request.body()
        if len(body) > _MAX_BODY_BYTES:
            return JSONResponse({"detail": "oversized"}, 413)
        try:
            content = network.verify(body, dict(request.headers))
            data = content["data"]
            message_id, to, text = str(data["message_id"]), str(data["to"]), str(data["text"])
        except WebhookVerificationError as error:
            network.counts["refused"] += 1
            return JSONResponse({"detail": str(error)}, 401)
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            network.counts["malformed"] += 1
            return JSONResponse({"detail": repr(error)}, 422)
        if network.deliver(message_id, to, text):
            task = asyncio.create_task(network.receipt(client, message_id))
            receipts.add(task)
            task.add_done_callback(receipts.discard)
        return Response(status_code=204)

    @app.get("/messages")
    async def messages() -> dict[str, object]:
        """All messages by phone."""
        return {number: [asdict(m) for m in found] for number, found in network.phones.items()}

    @app.post("/answers")
    async def answers(answer: Answer) -> dict[str, str]:
        """A person answers; says what the cloud made of it."""
        return {"result": await network.answer(client, answer.phone, answer.text)}

    @app.post("/answer")
    async def answer_by_form(phone: Annotated[str, Form()], text: Annotated[str, Form(max_length=500)]) -> Response:
        """The same from the page."""
        if text.strip():
            await network.answer(client, phone, text.strip())
        return RedirectResponse("/", 303)

    @app.get("/")
    async def page() -> HTMLResponse:
        """All phones."""
        phones = [(n, names.get(n, n), found) for n, found in reversed(network.phones.items())]
        html = templates.get_template("page.html").render(phones=phones, cloud=network.cloud_url)
        return HTMLResponse(html)

    return app
