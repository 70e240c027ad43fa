"""A TCP proxy that can be told to be slow, to lose packets, to refuse, to cut, or to let links silently go dead."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

_SEGMENT = 1_400
_RETRANSMIT_S = 0.2
"""Linux sends a lost segment again after 200 ms at the earliest, then after twice as long each time (RFC 6298)."""


class SlowProxy:
    """Forwards connections to a loopback port; `delay_s` holds back every piece that comes from the client."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.delay_s = 0.0
        self.refuses = False
        """While set, every connection is closed at once."""
        self.loss = 0.0
        """Share of segments that are lost: what comes behind one waits until it was sent again, as TCP does."""
        self.rng = random.Random(0)
        self._frozen: set[socket.socket] = set()
        self._open: set[socket.socket] = set()
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def freeze(self) -> None:
        """Make every present connection half open: both ends stay up, nothing passes any more."""
        self._frozen |= self._open

    def cut(self) -> None:
        """Break every present connection; both ends are told."""
        for end in list(self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _lose(self, length: int) -> None:
        for _ in range(0, length, _SEGMENT):
            again_s = _RETRANSMIT_S
            while self.rng.random() < self.loss:
                time.sleep(again_s)
                again_s *= 2

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuses:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
                server.settimeout(None)
            except OSError:
                client.close()
                continue
            self._open |= {client, server}
            if self._closed:
                client.close()
                server.close()
                return
            self._start(self._forward, client, server, True)
            self._start(self._forward, server, client, False)

    def _forward(self, source: socket.socket, sink: socket.socket, delayed: bool) -> None:
        try:
            while data := source.recv(65_536):
                if delayed and self.delay_s:
                    time.sleep(self.delay_s)
                if self.loss:
                    self._lose(len(data))
                if source not in self._frozen:
                    sink.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
                self._open.discard(end)

    def close(self) -> None:
        """Stop listening, break all connections, and wait for the threads."""
        self._closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for end in list(self._open):
            end.close()
        for thread in self._threads:
            thread.join(10)
