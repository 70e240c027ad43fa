"""The SMS modem at a pseudo-terminal: what it takes, what it refuses, and what nobody knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from edge.fallback import at
from edge.fallback.modem import ModemSms
from edge.fallback.sender import Unready, UnreadyError
from protocols.wire import TellOutcome
from tests.support.modem import PtyModem

TEXT = "【安居】奶奶家卫生间：疑似跌倒！😀"
PHONE = "+8613800138000"


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
    async with _plugged(answer_s=0.5, final=[None, "+CMS ERROR: 42"]) as (modem, sms):
        assert await _tell(sms) is TellOutcome.UNKNOWN
        modem.say("\r\n+CMGS: 7\r\n\r\nOK\r\n")
        assert await _tell(sms) is TellOutcome.FAILED


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
