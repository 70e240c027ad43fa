"""The API on a real port of this process, and consoles that follow its event stream over plain sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from cloud.api.app import build_app
from cloud.api.fanout import Fanout
from cloud.context import Context
from cloud.timeseries.sqlite import SqliteStore
from tests.support.district import PASSWORD

_BUFFER = 4_096
"""Sockets that take in little, so that a console which does not read is felt at once."""
_WAIT_S = 30


class Stream:
    """One open event stream; what was read of it is in `events`, pings left out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.events: list[dict[str, Any]] = []
        self.pings = 0
        self.last_id: int | None = None
        """What a browser would resume from."""
        self.ended = False

    @property
    def positions(self) -> list[int]:
        """The ids of its changes."""
        return [int(event["id"]) for event in self.events if event["event"] == "incident"]

    async def read_until(self, enough: Callable[[], bool]) -> None:
        """Read on until `enough`, or the end."""
        async with asyncio.timeout(_WAIT_S):
            while not enough() and not self.ended:
                await self._one()

    async def read_to(self, position: int, most: int | None = None) -> None:
        """Read on to the change at `position`, or to `most` changes."""
        await self.read_until(lambda: position in self.positions[-1:] or len(self.positions) == most)

    async def read_to_reset(self) -> None:
        """Read on until the console is told to read its list anew."""
        await self.read_until(lambda: any(event["event"] == "reset" for event in self.events))

    async def _one(self) -> None:
        """One event; the pieces of the chunked answer lie between its lines."""
        event: dict[str, Any] = {}
        while line := await self._reader.readline():
            name, _, value = line.decode().rstrip("\r\n").partition(": ")
            if name in ("event", "id"):
                event[name] = value
            elif name == "data":
                event["data"] = json.loads(value)
            elif line == b"\n" and event:
                self.last_id = int(event["id"]) if "id" in event else self.last_id
                if event["event"] == "ping":
                    self.pings += 1
                else:
                    self.events.append(event)
                return
        self.ended = True

    async def close(self) -> None:
        """Leave."""
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)


class Server:
    """Where the API listens, and what its streams are fed by."""

    def __init__(self, port: int, fanout: Fanout) -> None:
        self.port = port
        self.fanout = fanout
        self._streams: list[Stream] = []

    async def sign_in(self, login: str = "demo") -> str:
        """A session's cookie."""
        async with self.client() as client:
            answer = await client.post("/api/v1/sign-in", json={"login": login, "password": PASSWORD})
            assert answer.status_code == 200
            return f"anju_session={answer.cookies['anju_session']}"

    def client(self, cookie: str = "") -> httpx.AsyncClient:
        """A console that asks."""
        headers = {"X-Requested-With": "anju", "Cookie": cookie}
        address = f"http://127.0.0.1:{self.port}"
        return httpx.AsyncClient(base_url=address, headers=headers, timeout=_WAIT_S, trust_env=False)

    async def open(self, cookie: str, last_event_id: int | None = None) -> Stream:
        """A console that listens, after its first sign of life."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=_BUFFER)
        resume = f"Last-Event-ID: {last_event_id}\r\n" if last_event_id is not None else ""
        writer.write(
            b"GET /api/v1/events HTTP/1.1\r\nHost: anju\r\nConnection: close\r\n"
            + f"Cookie: {cookie}\r\n{resume}\r\n".encode()
        )
        stream = Stream(reader, writer)
        self._streams.append(stream)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        await stream.read_until(lambda: stream.pings > 0)
        return stream

    async def close_streams(self) -> None:
        """All consoles leave."""
        while self._streams:
            await self._streams.pop().close()


@asynccontextmanager
async def serving(context: Context, folder: Path, limit: int = 2_000, ping_s: float = 5.0) -> AsyncIterator[Server]:
    """The API as a process serves it, on a free port, with small socket buffers."""
    store = SqliteStore(folder / "t.db")
    await store.open()
    fanout = Fanout(context, limit, ping_s)
    config = uvicorn.Config(
        build_app(context, store, fanout),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    program = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
    server = Server(listening.getsockname()[1], fanout)
    reading = asyncio.create_task(fanout.run())
    answering = asyncio.create_task(program.serve(sockets=[listening]))
    try:
        yield server
    finally:
        await server.close_streams()
        reading.cancel()
        program.should_exit = True
        await asyncio.wait({reading, answering})
        listening.close()
        await store.close()
