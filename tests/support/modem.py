"""A GSM modem at a pseudo-terminal: it answers AT commands as 27.005 says, with the faults a test gives it."""

from __future__ import annotations

import os
import select
import threading
import time
import tty
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self


@dataclass
class PtyModem:
    """`sent` are the texts it took, as (phone, text). `final` are the answers to the next texts, in order, each after
    its delay of `delays`, or `delay_s`; None is silence. While `urc` is set it says that before every answer;
    `unasked` it says once, before it answers the next command of that name, or as it takes the next "text".
    """

    echo: bool = True
    sim: str = "+CPIN: READY"
    network: str = "+CREG: 0,1"
    knows_ucs2: bool = True
    mute: bool = False
    bytewise: bool = False
    urc: str = ""
    delay_s: float = 0.0
    delays: list[float] = field(default_factory=list)
    unasked: dict[str, str] = field(default_factory=dict)
    final: list[str | None] = field(default_factory=list)
    sent: list[tuple[str, str]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    on_text: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        """Plug it in."""
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._stop = threading.Event()
        self._charset = "IRA"
        self._to: str | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Pull it out."""
        self._stop.set()
        self._thread.join()
        os.close(self._master)
        os.close(self._slave)

    def say(self, text: str) -> None:
        """Say something unasked, or as an answer."""
        data = text.encode("ascii")
        for part in [data[i : i + 1] for i in range(len(data))] if self.bytewise else [data]:
            os.write(self._master, part)

    def _serve(self) -> None:
        buffer = b""
        while not self._stop.is_set():
            if not select.select([self._master], [], [], 0.02)[0]:
                continue
            data = os.read(self._master, 4096)
            if self.echo and not self.mute:
                os.write(self._master, data)
            buffer += data
            while (end := next((i for i, b in enumerate(buffer) if b in b"\r\x1a\x1b"), None)) is not None:
                line, mark, buffer = buffer[:end].decode("ascii"), buffer[end], buffer[end + 1 :]
                self._take(line, mark)

    def _take(self, line: str, mark: int) -> None:
        if mark == 0x1B:
            self._to = None
        elif mark == 0x1A and self._to is not None:
            self._text(self._to, line)
            self._to = None
        elif mark == 0x0D and not self.mute:
            self.commands.append(line)
            if self.urc:
                self.say(f"\r\n{self.urc}\r\n")
            self.say(self.unasked.pop(line.partition("=")[0], ""))
            self.say(self._answer(line))

    def _answer(self, line: str) -> str:
        name, _, value = line.partition("=")
        if name == "AT+CMGS":
            self._to = self._decode(value.split(",")[0].strip('"'))
            return "\r\n> "
        if name == "AT+CPIN?":
            final = "" if "ERROR" in self.sim else "\r\nOK\r\n"
            return f"\r\n{self.sim}\r\n{final}"
        if name == "AT+CREG?":
            return f"\r\n{self.network}\r\n\r\nOK\r\n"
        if name == "AT+CSCS":
            if not self.knows_ucs2:
                return "\r\nERROR\r\n"
            self._charset = value.strip('"')
        if name == "AT+CSCS?":
            return f'\r\n+CSCS: "{self._charset}"\r\n\r\nOK\r\n'
        known = {"AT", "AT+CMEE", "AT+CMGF", "AT+CSMP", "AT+CSCS"}
        return "\r\nOK\r\n" if name in known else "\r\nERROR\r\n"

    def _decode(self, text: str) -> str:
        return bytes.fromhex(text).decode("utf-16-be") if self._charset == "UCS2" else text

    def _text(self, to: str, text: str) -> None:
        final = self.final.pop(0) if self.final else f"+CMGS: {len(self.sent) + 1}"
        self.on_text()
        self.say(self.unasked.pop("text", ""))
        time.sleep(self.delays.pop(0) if self.delays else self.delay_s)
        if final is not None and final.startswith("+CMGS"):
            self.sent.append((to, self._decode(text)))
            self.say(f"\r\n{final}\r\n\r\nOK\r\n")
        elif final is not None:
            self.say(f"\r\n{final}\r\n")
