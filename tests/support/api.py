"""A client of the API in this process."""

from __future__ import annotations

import base64

import httpx
from fastapi import FastAPI

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
"""What incoming SMS are signed with."""


def client_of(app: FastAPI, **headers: str) -> httpx.AsyncClient:
    """A browser on one of our own pages."""
    own = {"X-Requested-With": "anju"} | headers
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://anju", headers=own)
