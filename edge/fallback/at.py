"""The AT commands of a modem, without the port: bytes in, lines and final results out. Pure.

3GPP TS 27.007 (general) and 27.005 (SMS in text mode). A modem may or may not echo what it is sent, and says what it
likes in between (`RING`, `+CREG: 5`); only a final result ends a command.
"""

from __future__ import annotations

from dataclasses import dataclass, field

CTRL_Z = "\x1a"
ESCAPE = b"\x1b"
PROMPT = "> "
REFERENCE = "+CMGS:"
"""Begins the answer to a text that the network has taken."""
_LONGEST_LINE = 2_048
TEXT_REFUSED = ("+CMS ERROR:",)
"""Only a text is refused so, where nothing else of messages is asked."""
REFUSED = (*TEXT_REFUSED, "+CME ERROR:", "ERROR")
_HOME, _ROAMING = 1, 5
_NETWORK_TIMEOUT = "+CMSERROR:332"
"""27.005, 3.2.5: the network has not answered in time. It may have taken the text all the same."""
LATEST_ANSWER_S = 180.0
"""An answer to a text that has not come by then does not come: makers name up to three minutes."""


@dataclass(slots=True)
class Reader:
    """Cuts what a modem says into lines; the prompt for a text is a line of its own, though no line end follows it."""

    _buffer: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[str]:
        """What is complete now, without line ends and empty lines; a line too long for any modem is dropped."""
        self._buffer += data.replace(b"\x00", b"")
        *ended, rest = bytes(self._buffer).replace(b"\r", b"\n").split(b"\n")
        lines = [line.decode("ascii", "replace").strip() for line in ended]
        if rest.startswith(PROMPT.encode()):
            lines.append(PROMPT)
            rest = rest[len(PROMPT) :]
        self._buffer = bytearray(rest[:_LONGEST_LINE])
        return [line for line in lines if line]


@dataclass(slots=True)
class Owed:
    """Answers that the modem still owes to texts whose time was over before it answered.

    Theory of operation. An answer names no text. Modems answer one command after another, and most say nothing at all
    while a text is under way; but an answer that was given up may come at any moment: while the modem is asked how it
    is, before it asks for the next text, or after that text was handed over. So the first answers belong to the oldest
    texts, and only what is over belongs to the newest. `since` are the moments (monotonic seconds) at which those texts
    were handed over; after LATEST_ANSWER_S nothing is expected any more.
    """

    since: list[float] = field(default_factory=list)
    _ok_follows: bool = False

    def given_up(self, handed_over: float) -> None:
        """One more text was not answered in time."""
        self.since.append(handed_over)

    def forget_old(self, now: float) -> None:
        """What is not expected any more."""
        self.since = [at for at in self.since if now - at < LATEST_ANSWER_S]

    def settled(self) -> None:
        """Nothing of an earlier answer is still to be read."""
        self._ok_follows = False

    def answered(self) -> None:
        """A text was answered with its reference: `OK` follows, and means nothing more."""
        self._ok_follows = True

    def takes(self, line: str, refusals: tuple[str, ...] = ()) -> bool:
        """Whether a line belongs to an earlier text: its reference, the `OK` after it, or one of `refusals`."""
        if line == "OK" and self._ok_follows:
            self._ok_follows = False
            return True
        if line.startswith(REFERENCE) or (self.since and line.startswith(refusals)):
            self._ok_follows = line.startswith(REFERENCE)
            del self.since[:1]
            return True
        return False


def is_final(line: str) -> bool:
    """Whether the line ends a command."""
    return line == "OK" or line.startswith(REFUSED)


def nobody_knows(line: str) -> bool:
    """Whether a final result leaves open what became of a text: `OK` without a reference, or the network's silence."""
    return line == "OK" or line.replace(" ", "") == _NETWORK_TIMEOUT


def ucs2(text: str) -> str:
    """Text as the hexadecimal UCS-2 of `AT+CSCS="UCS2"`."""
    return text.encode("utf-16-be").hex().upper()


def sim(lines: list[str], final: str) -> str:
    """The answer to `AT+CPIN?`: `READY`, `SIM PIN`, …; `+CME ERROR: 10` (or its words) is a missing SIM."""
    for line in lines:
        if line.startswith("+CPIN:"):
            return line.partition(":")[2].strip()
    words = final.lower()
    return "missing" if words.endswith(" 10") or "not inserted" in words else final


def registered(lines: list[str]) -> bool:
    """Whether an answer to `AT+CREG?`, `AT+CGREG?` or `AT+CEREG?` says home network or roaming."""
    state = None
    for line in lines:
        if line.startswith(("+CREG:", "+CGREG:", "+CEREG:")):
            fields = [part.strip() for part in line.partition(":")[2].split(",")]
            word = fields[1] if len(fields) > 1 and fields[1].isdigit() else fields[0]
            state = int(word) if word.isdigit() else state
    return state in (_HOME, _ROAMING)


def to(phone: str) -> str:
    """The command that addresses a text; 145 is an international number, 129 any other."""
    return f'AT+CMGS="{ucs2(phone)}",{145 if phone.startswith("+") else 129}'
