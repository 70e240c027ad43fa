"""SMS by a serial modem in text mode and UCS-2; it works in its own thread, so that nothing else waits for it.

Every use begins with a fresh look: does it answer, is the SIM open, is there a network. A text is given to it only
then. Once the text has been ended (Ctrl-Z) nothing but its own `+CMGS` means sent; without an answer in time nobody
knows, and it is not sent again. What comes later is read and never taken for the answer of the next text (`at.Owed`).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import serial
import structlog

from edge.fallback import at
from edge.fallback.sender import Unready, UnreadyError
from protocols.wire import TellOutcome

log = structlog.get_logger()

T = TypeVar("T")

_READ_S = 0.1
_ANSWER_S = 5.0
_SYNC_TRIES = 4
_SYNC_S = 1.0
_OWN_ANSWER_S = 10.0
"""Once an earlier text has been answered: how much longer the newest one's own answer is waited for. Without it nobody
knows which of the two was answered, and the next contact waits.
"""
_SETTINGS = ("AT+CMEE=1", "AT+CMGF=1", "AT+CSMP=17,71,0,8")
"""Errors by number; text mode; submit, valid for 6 hours, no protocol, data coding UCS-2."""


class ModemSms:
    """One modem at a serial port; `answer_s` is how long the network may take over a message."""

    channel = "modem_sms"

    def __init__(self, port: str, baud: int = 115_200, answer_s: float = 60.0) -> None:
        self._port = port
        self._baud = baud
        self._answer_s = answer_s
        self._serial: serial.Serial | None = None
        self._reader = at.Reader()
        self._lines: list[str] = []
        self._owed = at.Owed()
        self._closing = threading.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="modem")

    async def prepare(self) -> None:
        """As Sender."""
        await self._do(self._prepare)

    async def send(self, message_id: str, phone: str, text: str) -> TellOutcome:
        """As Sender; a modem knows no ids."""
        return await self._do(lambda: self._send(phone, text))

    async def close(self) -> None:
        """As Sender."""
        self._closing.set()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)
        self._drop()

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _prepare(self) -> None:
        try:
            self._open()
            self._synchronise()
            for command in _SETTINGS:
                self._must(command)
            self._check_sim()
            self._check_network()
            if self._command('AT+CSCS="UCS2"')[1] != "OK" and "UCS2" not in self._charset():
                raise UnreadyError(Unready.REFUSED, f"{self._port}: the modem knows no UCS2")
        except UnreadyError:
            if not self._owed.since:  # else it is busy with a text, and its answer must be heard
                self._drop()
            raise
        except (serial.SerialException, OSError) as error:
            self._drop()
            raise UnreadyError(Unready.NO_PORT, f"{self._port}: {error}") from error

    def _open(self) -> None:
        if self._serial is None:
            self._serial = serial.Serial(
                self._port, self._baud, timeout=_READ_S, write_timeout=_ANSWER_S, exclusive=True
            )

    def _synchronise(self) -> None:
        """End a text that may be open, and wait until the modem answers, and has answered everything."""
        self._owed.forget_old(time.monotonic())
        self._read_up()
        self._write(at.ESCAPE)
        for _ in range(_SYNC_TRIES):
            if self._command("AT", _SYNC_S)[1] == "OK":
                self._read_up()
                return
        raise UnreadyError(Unready.NO_ANSWER, f"{self._port}: the modem does not answer to AT at {self._baud} baud")

    def _read_up(self) -> None:
        """Read what is there, until nothing more comes: it is over, but it may answer a text."""
        until = time.monotonic() + _SYNC_S
        while (line := self._next_line(min(until, time.monotonic() + _READ_S))) is not None:
            self._owed.takes(line, at.TEXT_REFUSED)
        self._owed.settled()
        self._reader = at.Reader()

    def _check_sim(self) -> None:
        state = at.sim(*self._command("AT+CPIN?"))
        if state == "missing":
            raise UnreadyError(Unready.SIM_MISSING, f"{self._port}: no SIM card")
        if state != "READY":
            text = f"{self._port}: the SIM card asks for {state}; turn its PIN off in a phone"
            raise UnreadyError(Unready.SIM_PIN_REQUIRED, text)

    def _check_network(self) -> None:
        if not any(at.registered(self._command(query)[0]) for query in ("AT+CREG?", "AT+CEREG?")):
            raise UnreadyError(Unready.NO_NETWORK, f"{self._port}: not registered with any network")

    def _charset(self) -> str:
        answer = " ".join(self._command("AT+CSCS?")[0])
        return answer.replace(at.ucs2("UCS2"), "UCS2")

    def _must(self, command: str) -> None:
        final = self._command(command)[1]
        if final != "OK":
            raise UnreadyError(Unready.REFUSED, f"{self._port}: {command}: {final or 'no answer'}")

    def _send(self, phone: str, text: str) -> TellOutcome:
        handed_over: float | None = None
        try:
            _, prompt = self._command(at.to(phone), prompt=True)
            if prompt != at.PROMPT:
                log.warning("modem_refused", doing="CMGS", answer=prompt)
                self._write(at.ESCAPE)
                return TellOutcome.FAILED
            handed_over = time.monotonic()
            self._write((at.ucs2(text) + at.CTRL_Z).encode("ascii"))
            answer = self._answer(handed_over + self._answer_s)
        except (serial.SerialException, OSError) as error:
            log.warning("modem_lost", port=self._port, error=str(error))
            self._drop()
            if handed_over is None:
                return TellOutcome.FAILED
            self._owed.given_up(handed_over)
            return TellOutcome.UNKNOWN
        if answer.startswith(at.REFERENCE):
            return TellOutcome.SENT
        if answer and not at.nobody_knows(answer):
            log.warning("modem_refused", doing="text", answer=answer)
            return TellOutcome.FAILED
        log.warning("modem_silent", port=self._port, waited_s=time.monotonic() - handed_over, answer=answer)
        if answer in ("", "OK"):
            self._owed.given_up(handed_over)
        return TellOutcome.UNKNOWN

    def _answer(self, until: float) -> str:
        """What becomes of the text just handed over: its reference or a final result; "" if none came in time."""
        while (line := self._next_line(until)) is not None:
            if (self._owed.since or line == "OK") and self._owed.takes(line, at.REFUSED):
                log.warning("modem_late", port=self._port, answer=line)
                until = min(until, time.monotonic() + _OWN_ANSWER_S)
            elif line.startswith(at.REFERENCE):
                self._owed.answered()
                return line
            elif at.is_final(line):
                return line
        return ""

    def _command(self, command: str, within_s: float = _ANSWER_S, *, prompt: bool = False) -> tuple[list[str], str]:
        """Send one command; the lines it was answered with and the final one, `""` if none came in time."""
        self._write(f"{command}\r".encode("ascii"))
        until = time.monotonic() + within_s
        lines: list[str] = []
        while (line := self._next_line(until)) is not None:
            if self._owed.takes(line, at.TEXT_REFUSED if command == "AT" else ()):
                continue
            if at.is_final(line) or (prompt and line == at.PROMPT):
                return lines, line
            lines.append(line)
        return lines, ""

    def _next_line(self, until: float) -> str | None:
        """The next thing the modem says; None if it says nothing until then, or we close."""
        assert self._serial is not None
        while not self._lines:
            if time.monotonic() >= until or self._closing.is_set():
                return None
            self._lines = self._reader.feed(self._serial.read(max(1, self._serial.in_waiting)))
        return self._lines.pop(0)

    def _write(self, data: bytes) -> None:
        assert self._serial is not None
        self._serial.write(data)

    def _drop(self) -> None:
        if self._serial is not None:
            self._serial.close()
            self._serial = None
