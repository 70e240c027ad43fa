"""The SMS modem at a pseudo-terminal: what it takes, what it refuses, and what nobody knows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.alarms import Alarm
from edge.clock import SystemClock
from edge.fallback import at
from edge.fallback.contacts import Contact
from edge.fallback.family import Family
from edge.fallback.modem import ModemSms
from edge.fallback.sender import Unready, UnreadyError
from protocols.wire import AlarmKind, AlarmState, Priority, TellOutcome, Told
from tests.support.modem import PtyModem

TEXT = "【安居】奶奶家卫生间：疑似跌倒！😀"
PHONE = "+8613800138000"
_LATE = "\r\n+CMGS: 7\r\n\r\nOK\r\n"


@asynccontextmanager
async def _plugged(answer_s: float = 10.0, **behaviour: Any) -> AsyncIterator[tuple[PtyModem, ModemSms]]:
    with PtyModem(**behaviour) as modem:
        sms = ModemSms(modem.port, answer_s=answer_s)
        try:
            yield modem, sms
        finally:
            await sms.close()


async def _tell(sms: ModemSms, phone: str = PHONE) -> TellOutcome:
    await sms.prepare()
    return await sms.send("id", phone, TEXT)


@pytest.mark.parametrize(
    "behaviour",
    [
        {"echo": True},
        {"echo": False},
        {"bytewise": True},
        {"urc": '+CREG: 5,"00C3","0FA2"'},
        {"urc": "RING", "echo": False},
        {"network": '+CREG: 2,5,"00C3","0FA2",7'},
    ],
    ids=str,
)
async def test_a_chinese_text_arrives_whole(behaviour: dict[str, Any]) -> None:
    """With echo or without, in one piece or byte by byte, whatever the modem says in between."""
    async with _plugged(**behaviour) as (modem, sms):
        assert [await _tell(sms), await _tell(sms, "10086")] == [TellOutcome.SENT] * 2
    assert modem.sent == [(PHONE, TEXT), ("10086", TEXT)]


async def test_nothing_waits_for_a_slow_network() -> None:
    """While the network takes its time over a message the event loop goes round."""
    async with _plugged(delay_s=1.0) as (_, sms):
        await sms.prepare()
        sending = asyncio.ensure_future(sms.send("id", PHONE, TEXT))
        turns = 0
        while not sending.done():
            await asyncio.sleep(0.01)
            turns += 1
        assert await sending is TellOutcome.SENT
    assert turns > 20


@pytest.mark.parametrize("error", ["+CMS ERROR: 38", "+CME ERROR: 30", "ERROR"])
async def test_a_refused_text_is_not_sent_and_the_next_one_goes(error: str) -> None:
    """The network's refusal is a definite failure, and costs nothing else."""
    async with _plugged(final=[error]) as (modem, sms):
        assert [await _tell(sms), await _tell(sms)] == [TellOutcome.FAILED, TellOutcome.SENT]
    assert len(modem.sent) == 1


async def test_without_an_answer_nobody_knows() -> None:
    """A text handed over and never answered is neither sent nor failed; its late answer is not the next one's."""
    async with _plugged(answer_s=0.3, final=[None, "+CMS ERROR: 42"]) as (modem, sms):
        assert await _tell(sms) is TellOutcome.UNKNOWN
        modem.say(_LATE)
        assert await _tell(sms) is TellOutcome.FAILED


@pytest.mark.parametrize("moment", ["AT", "AT+CMEE", "AT+CPIN?", "AT+CSCS", "AT+CMGS", "text"])
async def test_whenever_an_answer_comes_late_the_next_text_has_its_own(moment: str) -> None:
    """While the modem is asked how it is, before it asks for the next text, or after it has that: the first text's
    reference is never the second one's, and a refusal still is.
    """
    async with _plugged(answer_s=0.3, final=[None, "+CMS ERROR: 42"]) as (modem, sms):
        assert await _tell(sms) is TellOutcome.UNKNOWN
        modem.unasked[moment] = _LATE
        assert await _tell(sms, "10086") is TellOutcome.FAILED
        assert (await _tell(sms, "10086"), modem.sent) == (TellOutcome.SENT, [("10086", TEXT)])


@pytest.mark.parametrize(
    ("late", "own", "outcome"),
    [
        ("+CMGS: 7\r\n\r\nOK", "+CMGS: 8", TellOutcome.SENT),
        ("+CMGS: 7\r\n\r\nOK", None, TellOutcome.UNKNOWN),
        ("+CMS ERROR: 38", "+CMGS: 8", TellOutcome.SENT),
        ("+CMS ERROR: 38", None, TellOutcome.UNKNOWN),
        ("", "+CMGS: 8", TellOutcome.UNKNOWN),
        ("", "ERROR", TellOutcome.UNKNOWN),
    ],
)
async def test_one_answer_to_two_texts_is_nobodys(late: str, own: str | None, outcome: TellOutcome) -> None:
    """With two texts open only the second answer says what became of the second text. A late refusal in particular
    fails nothing: the text would be sent again.
    """
    async with _plugged(answer_s=0.3, final=[None, own]) as (modem, sms):
        assert await _tell(sms) is TellOutcome.UNKNOWN
        modem.unasked["text"] = f"\r\n{late}\r\n"
        assert await _tell(sms, "10086") is outcome


async def test_a_modem_that_is_still_busy_is_heard_out() -> None:
    """It answers nothing while a text is under way, then everything at once; each text is sent once, and is known."""
    async with _plugged(answer_s=0.2, delays=[0.9]) as (modem, sms):
        assert await _tell(sms) is TellOutcome.UNKNOWN
        assert await _tell(sms, "10086") is TellOutcome.SENT
    assert modem.sent == [(PHONE, TEXT), ("10086", TEXT)]


async def test_nobody_is_told_twice_because_an_answer_came_late(tmp_path: Path) -> None:
    """The first contact's message is reported as unknown and not repeated; the second contact is told meanwhile."""
    told: list[tuple[str, TellOutcome]] = []

    async def on_told(_alarm_id: str, whom: Told) -> None:
        told.append((whom.who, whom.outcome))

    async with _plugged(answer_s=0.2, delays=[0.9]) as (modem, sms):
        people = (Contact("女儿", "13800000001"), Contact("Mr Li", "13800000002"))
        family = Family(senders=(sms,), contacts=people, after_s=0.0, home="g", folder=tmp_path, clock=SystemClock(),
                        on_told=on_told)  # fmt: skip
        now = time.time()
        family.watch(Alarm("a1", AlarmKind.FALL, Priority.HIGH, AlarmState.RAISED, now, now, "impact", "wrist"))
        for _ in range(3):
            await family.round()
    assert told == [("女儿", TellOutcome.UNKNOWN), ("Mr Li", TellOutcome.SENT)]
    assert [phone for phone, _ in modem.sent] == ["13800000001", "13800000002"]


async def test_a_modem_that_does_not_answer_in_time_is_heard_later() -> None:
    """Longer than it is waited for, nothing can be sent; what it says afterwards belongs to the text it had."""
    async with _plugged(answer_s=0.2, final=[None, "+CMS ERROR: 42"]) as (modem, sms):
        assert await _tell(sms) is TellOutcome.UNKNOWN
        modem.mute = True
        with pytest.raises(UnreadyError):
            await sms.prepare()
        modem.say(_LATE)
        modem.mute = False
        assert await _tell(sms, "10086") is TellOutcome.FAILED


async def test_the_networks_silence_is_no_refusal() -> None:
    """A modem that gave up waiting for the network does not know whether it has the text; it owes no further answer."""
    async with _plugged(answer_s=5.0, final=["+CMS ERROR: 332"]) as (_, sms):
        assert [await _tell(sms), await _tell(sms, "10086")] == [TellOutcome.UNKNOWN, TellOutcome.SENT]


def test_an_answer_is_not_expected_for_ever() -> None:
    """After three minutes a reference is the newest text's."""
    owed = at.Owed()
    owed.given_up(0.0)
    owed.given_up(100.0)
    owed.forget_old(at.LATEST_ANSWER_S)
    assert owed.since == [100.0]
    assert [owed.takes(line, at.TEXT_REFUSED) for line in ("OK", "+CMS ERROR: 1", "+CMS ERROR: 1")] == [
        False,
        True,
        False,
    ]
    owed.forget_old(100.0 + at.LATEST_ANSWER_S)
    assert [owed.takes(line) for line in ("+CMGS: 1", "OK", "OK")] == [True, True, False]


async def test_a_stop_does_not_wait_for_the_network() -> None:
    """Closing while the network is silent ends the sending as unknown."""
    handed_over = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with _plugged(answer_s=300.0, final=[None], on_text=lambda: loop.call_soon_threadsafe(handed_over.set)) as (
        _,
        sms,
    ):
        await sms.prepare()
        sending = asyncio.ensure_future(sms.send("id", PHONE, TEXT))
        await handed_over.wait()
        await sms.close()
        assert await sending is TellOutcome.UNKNOWN


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ({"sim": "+CPIN: SIM PIN"}, Unready.SIM_PIN_REQUIRED),
        ({"sim": "+CPIN: SIM PUK"}, Unready.SIM_PIN_REQUIRED),
        ({"sim": "+CME ERROR: 10"}, Unready.SIM_MISSING),
        ({"sim": "+CME ERROR: SIM not inserted"}, Unready.SIM_MISSING),
        ({"network": "+CREG: 0,2"}, Unready.NO_NETWORK),
        ({"network": "+CREG: 0,3"}, Unready.NO_NETWORK),
        ({"knows_ucs2": False}, Unready.REFUSED),
        ({"mute": True}, Unready.NO_ANSWER),
    ],
    ids=str,
)
async def test_what_is_wrong_is_told_apart(behaviour: dict[str, Any], reason: Unready) -> None:
    """Nothing is handed to a modem that cannot send; the reason says what somebody must do, and it may pass."""
    async with _plugged(**behaviour) as (modem, sms):
        with pytest.raises(UnreadyError) as error:
            await sms.prepare()
        assert error.value.reason is reason
        assert modem.sent == []
        modem.sim, modem.network, modem.knows_ucs2, modem.mute = "+CPIN: READY", "+CREG: 0,1", True, False
        assert await _tell(sms) is TellOutcome.SENT


async def test_an_absent_modem() -> None:
    """A port that is not there is said so."""
    sms = ModemSms("/dev/anju-no-such-port")
    with pytest.raises(UnreadyError) as error:
        await sms.prepare()
    assert error.value.reason is Unready.NO_PORT
    await sms.close()


def test_lines_come_whole_however_the_bytes_come() -> None:
    """Lines and the prompt are the same byte by byte; noise without an end is bounded."""
    said = b"AT\r\r\nOK\r\n\r\n> 4F60\r\n+CMGS: 5\r\n"
    whole, single = at.Reader(), at.Reader()
    want = ["AT", "OK", "> 4F60", "+CMGS: 5"]
    assert whole.feed(said) == want
    assert [line.strip() for byte in said for line in single.feed(bytes([byte]))] == [
        "AT",
        "OK",
        ">",
        "4F60",
        "+CMGS: 5",
    ]
    assert whole.feed(b"x" * 100_000) == []
    assert whole.feed(b"\r\nOK\r\n")[-1] == "OK"
