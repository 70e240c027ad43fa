"""The AT commands of a modem, without the port: bytes in, lines and final results out. Pure.

3GPP TS 27.007 (general) and 27.005 (SMS in text mode). A modem may or may not echo what it is sent, and says what it
likes in between (`RING`, `+CREG: 5`); only a final result ends a command.
"""

from __future__ import annotations

from dataclasses import dataclass, field

CTRL_Z = "\x1a"
ESCAPE = b"\x1b"
PROMPT = "> "
_LONGEST_LINE = 2_048
_ERRORS = ("+CMS ERROR:", "+CME ERROR:")
_HOME, _ROAMING = 1, 5


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


def is_final(line: str) -> bool:
    """Whether the line ends a command."""
    return line in ("OK", "ERROR") or line.startswith(_ERRORS)


def failure(line: str) -> str | None:
    """What a final result complains of; None for OK."""
    return None if line == "OK" else line


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
