"""Tells the family what the cloud does not take: the ladder, carried out over the channels there are."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import structlog

from edge.alarms import Alarm
from edge.clock import Clock
from edge.fallback.contacts import Contact
from edge.fallback.ladder import Case, Step, Tellings, told_of
from edge.fallback.sender import Sender, Unready, UnreadyError
from edge.fallback.texts import sms_text
from edge.files import write_whole
from protocols.faults import Fault
from protocols.wire import TellOutcome, Told, ToldWhat

log = structlog.get_logger()

STATE_NAME = "fallback.json"
_LOOK_S = 0.5
_CHECK_EVERY_S = 600.0
"""How often a channel is asked whether a message could leave; it is found out before an alarm needs it."""
_CHECK_AGAIN_S = 60.0


class Family:
    """Sends the SMS of alarms that the cloud did not take. Without contacts or channels it does nothing."""

    def __init__(
        self,
        *,
        senders: tuple[Sender, ...],
        contacts: tuple[Contact, ...],
        after_s: float,
        home: str,
        folder: Path,
        clock: Clock,
        on_told: Callable[[str, Told], Awaitable[None]],
    ) -> None:
        """`on_told` hears what became of every message, with the alarm's id, and puts it on flash; `senders` are
        tried in order.
        """
        self._senders = senders
        self._home = home
        self._file = folder / STATE_NAME
        self._clock = clock
        self._on_told = on_told
        self._check_at = 0.0
        self.tellings = Tellings(after_s, contacts)
        self.unready: dict[str, Unready] = {}
        self.counts: Counter[str] = Counter()

    @property
    def enabled(self) -> bool:
        """Whether there is somebody to tell, and a way to."""
        return bool(self._senders and self.tellings.contacts)

    def load(self) -> None:
        """Take up the last run."""
        if self.enabled:
            self.tellings.load(self._file, self._clock.now())

    def watch(self, alarm: Alarm) -> None:
        """Tell of an alarm's new state, which the cloud does not have yet."""
        if self.enabled:
            self.tellings.watch(alarm, self._clock.now())

    def taken(self, alarm_ids: Iterable[str]) -> None:
        """The cloud has these alarms."""
        self.tellings.taken(alarm_ids)

    def stood_down(self, alarm_ids: Iterable[str]) -> None:
        """The cloud has closed these alarms."""
        self.tellings.stood_down(alarm_ids, self._clock.now())

    def faults(self) -> set[Fault]:
        """What supervision is to report: no message could leave by any channel."""
        return {Fault.FALLBACK_SMS} if self.enabled and len(self.unready) == len(self._senders) else set()

    async def run(self) -> None:
        """Send what is due, until cancelled; returns at once if there is nothing to do ever."""
        if not self.enabled:
            return
        try:
            while True:
                await self.round()
                await asyncio.sleep(_LOOK_S)
        finally:
            for sender in self._senders:
                await sender.close()

    async def round(self) -> None:
        """Report what is known, send what is due, keep it, and ask the channels now and then."""
        await self._report()
        for case, step in self.tellings.due(self._clock.now()):
            await self._tell(case, step)
            await self._report()
        await self._check()
        await self._save()

    async def _tell(self, case: Case, step: Step) -> None:
        """One try over all channels; what is due when its turn comes may have been settled meanwhile."""
        contact = step.contact
        text = sms_text(step.what, contact.lang, case.alarm.kind, self._home, case.alarm.room)
        for sender in self._senders:
            if not await self._ready(sender):
                continue
            if not self.tellings.still_due(case, step):
                return
            self.tellings.begin(step, sender.channel, self._clock.now())
            await self._save()
            outcome = await sender.send(_message_id(case, step), contact.phone, text)
            self.counts[outcome] += 1
            about = {"alarm_id": case.alarm.alarm_id, "who": contact.name, "what": step.what}
            log.info("fallback_sms", channel=sender.channel, outcome=outcome, **about)
            if outcome is not TellOutcome.FAILED:
                break
            self.tellings.not_sent(step)
        else:
            outcome = TellOutcome.FAILED
        self.tellings.finish(case, step, outcome, self._clock.now())
        await self._save()

    async def _ready(self, sender: Sender) -> bool:
        try:
            await sender.prepare()
        except UnreadyError as error:
            if self.unready.get(sender.channel) is not error.reason:
                log.warning("fallback_unready", channel=sender.channel, reason=error.reason, error=str(error))
            self.unready[sender.channel] = error.reason
            self.counts["unready"] += 1
            return False
        self.unready.pop(sender.channel, None)
        return True

    async def _check(self) -> None:
        now = self._clock.now().mono
        if now < self._check_at:
            return
        ready = [await self._ready(sender) for sender in self._senders]
        self._check_at = self._clock.now().mono + (_CHECK_EVERY_S if any(ready) else _CHECK_AGAIN_S)

    async def _report(self) -> None:
        for case, step in self.tellings.unreported():
            await self._on_told(case.alarm.alarm_id, told_of(step))
            self.tellings.reported(step)

    async def _save(self) -> None:
        """A flash that takes nothing must not keep the family from being told; a restart could then repeat."""
        if not self.tellings.dirty:
            return
        body, self.tellings.dirty = self.tellings.body(), False
        try:
            await asyncio.to_thread(write_whole, self._file, body, 0o600)
        except OSError as error:
            self.tellings.dirty = True
            self.counts["not_kept"] += 1
            log.critical("fallback_not_kept", error=str(error))


def _message_id(case: Case, step: Step) -> str:
    """The same for every try of one message to one phone."""
    digest = hashlib.sha256(step.contact.phone.encode()).hexdigest()[:8]
    return f"{case.alarm.alarm_id}-{digest}" + ("-over" if step.what is ToldWhat.STAND_DOWN else "")
