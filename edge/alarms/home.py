"""What becomes of a detection: ask the resident by the ladder, wait for cancel, help or silence, raise."""

from __future__ import annotations

import random
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import replace

from edge.alarms.ladder import Ladders, Loudness
from edge.alarms.moments import moment, same_moment, takes_up
from edge.alarms.repeats import counts_repeats, crying, row, seen_again
from edge.alarms.states import (
    ENDED,
    NOT_CANCELLABLE,
    RANK,
    SILENT,
    TRANSITIONS,
    Alarm,
    Changed,
    Effect,
    S,
    Speak,
    Trigger,
)
from edge.alarms.weighing import Risk, joint, weighed
from edge.clock import Instant
from edge.detectors.base import Detection
from edge.residents import Residents
from protocols.faults import TEST
from protocols.identifiers import uuid7
from protocols.wire import MAX_EVIDENCE, MAX_TOLD, AlarmKind, Evidence, Priority, Told

_ROOM_KNOWN_S = 900.0
"""How long the last room with motion is taken for where the wearer is."""
_RECENT = 16
"""How many ended alarms are remembered for what is still to be reported about them."""


class Alarms:
    """All open alarms of the home. Values in, effects out, in the order in which they must happen.

    At most `limit` alarms of the resident are open and as many of which the resident hears nothing, so that neither
    crowds out the other. With that many open a further one of the same kind joins, whatever the time between.
    """

    def __init__(
        self,
        rooms: dict[str, str | None],
        ladders: Ladders,
        rng: random.Random,
        merge_s: float = 60.0,
        limit: int = 64,
        risks: Iterable[Risk] = (),
        residents: Residents | None = None,
    ) -> None:
        self._rooms = rooms
        self._ladders = ladders
        self._rng = rng
        self._merge_s = merge_s
        self._limit = limit
        self._risks = frozenset(risks)
        self._residents = residents or Residents(())
        self._open: dict[str, Alarm] = {}
        self._recent: OrderedDict[str, Alarm] = OrderedDict()
        self._ended: dict[tuple[AlarmKind, str], tuple[float, Alarm]] = {}
        self._moved: tuple[str, float] | None = None
        self.counts: Counter[str] = Counter()

    @property
    def open(self) -> tuple[Alarm, ...]:
        """Alarms that have not ended, oldest first."""
        return tuple(self._open.values())

    def crying(self) -> set[str]:
        """Devices that report so often, with nobody answering, that somebody should look at them."""
        return crying(self._open.values())

    def moved(self, device: str, now: Instant, *, moving: bool = True) -> list[Effect]:
        """A sensor has seen somebody: what is worn happens in its room; some questions are answered by movement, none
        by mere presence (`moving` False).
        """
        room = self._rooms.get(device)
        if room is not None:
            self._moved = (room, now.mono)
        if not moving:
            return []
        effects: list[Effect] = []
        for alarm in [a for a in self._open.values() if a.state is S.PENDING and a.deadline is not None]:
            ladder = self._ladders.at(alarm.kind, alarm.changed_at)
            if ladder.movement_cancels and self._asked_s(alarm, now) >= ladder.movement_after_s:
                effects += self._fire(alarm, Trigger.MOVEMENT, now)
        return effects

    def restore(self, alarms: Iterable[Alarm], now: Instant) -> list[Effect]:
        """Take up the alarms of the last run; a question that was open goes on with the time it had left, and a siren
        sounds again.
        """
        effects: list[Effect] = []
        for alarm in alarms:
            ladder = self._ladders.at(alarm.kind, alarm.changed_at)
            if alarm.state is S.PENDING and alarm.decide_by is not None:
                left = min(max(alarm.decide_by - now.wall, 0.0), ladder.raise_s)
                asked = sum(step.after_s <= ladder.raise_s - left for step in ladder.steps)
                alarm = replace(alarm, deadline=now.mono + left, step=asked)
                effects.append(Speak("are_you_ok_again", alarm.alarm_id, Loudness.LOUD))
            elif ladder.raised.loudness is Loudness.SIREN:
                effects.append(Speak(ladder.raised.phrase, alarm.alarm_id, Loudness.SIREN))
            self._open[alarm.alarm_id] = alarm
        return effects

    def recall(self, alarms: Iterable[Alarm]) -> None:
        """Alarms of the last run of which something may still be to be told; open ones are known already."""
        for alarm in alarms:
            if alarm.alarm_id not in self._open:
                self._remember(alarm)

    def detect(self, detection: Detection, now: Instant) -> list[Effect]:
        """Open an alarm, join an open one, or note that a condition ended."""
        if detection.cleared:
            return self._condition_ended(detection, now)
        effects: list[Effect] = []
        if detection.kind is AlarmKind.SOS:
            for alarm in [a for a in self._open.values() if a.state is S.PENDING]:
                effects += self._fire(alarm, Trigger.HELP, now)
        known = self._joinable(detection)
        if known is not None:
            return effects + self._join(known, weighed(detection, self._risks, joint(known, detection)), now)
        if self._echo(detection, now):
            self.counts["repeated"] += 1
            return []
        return effects + self._begin(
            weighed(self._with_what_led_to_it(detection), self._risks, detection.confidence), now
        )

    def press(self, button: str, now: Instant) -> list[Effect]:
        """The resident said "cancel" or "help", by any button of the home or by voice. Help that neither answers a
        question nor escalates an alarm of high priority is a call of its own: pressed again, it is heard again.
        """
        trigger = {"cancel": Trigger.CANCEL, "help": Trigger.HELP}.get(button)
        if trigger is None:
            self.counts["unknown_button"] += 1
            return []
        effects: list[Effect] = []
        heard = False
        for alarm in [a for a in self._open.values() if a.kind not in SILENT]:
            if trigger is Trigger.CANCEL and alarm.kind in NOT_CANCELLABLE:
                self.counts["not_cancellable"] += 1
                continue
            changes = self._fire(alarm, trigger, now)
            heard = heard or (bool(changes) and (alarm.state is S.PENDING or alarm.priority is Priority.HIGH))
            effects += changes
        if trigger is Trigger.HELP and not heard:
            evidence = Evidence(detector="button", device="button", at=now.wall, reason="resident_asked_for_help")
            effects += self.detect(
                Detection(AlarmKind.SOS, Priority.HIGH, now.wall, "button", evidence.reason, 1.0, (evidence,)), now
            )
        return effects

    def tick(self, now: Instant) -> list[Effect]:
        """Ask what the ladders have next; raise what nobody answered."""
        effects: list[Effect] = []
        for alarm in list(self._open.values()):
            if alarm.state is not S.PENDING or alarm.deadline is None:
                continue
            if now.mono >= alarm.deadline:
                effects += self._fire(alarm, Trigger.SILENCE, now)
                continue
            steps = self._ladders.at(alarm.kind, alarm.changed_at).steps
            asked = self._asked_s(alarm, now)
            due = sum(step.after_s <= asked for step in steps)
            if due > alarm.step:
                self._open[alarm.alarm_id] = replace(alarm, step=due)
                effects.append(Speak(steps[due - 1].phrase, alarm.alarm_id, steps[due - 1].loudness))
        return effects

    def test(self, now: Instant) -> list[Effect]:
        """Raise a test alarm, to prove the chain."""
        detection = Detection(AlarmKind.TECHNICAL, Priority.LOW, now.wall, "gateway", TEST, 1.0)
        effects = self._begin(detection, now)
        return [*effects, Speak("test", self.open[-1].alarm_id)] if effects else []

    def told(self, alarm_id: str, told: Told) -> list[Effect]:
        """The home itself has told somebody of an alarm: the cloud hears it with the alarm; [] if it is forgotten."""
        alarm = self._open.get(alarm_id) or self._recent.get(alarm_id)
        if alarm is None:
            self.counts["told_of_unknown"] += 1
            return []
        if told in alarm.told:
            return []
        changed = replace(alarm, told=(*alarm.told, told)[-MAX_TOLD:])
        (self._open if alarm_id in self._open else self._recent)[alarm_id] = changed
        return [Changed(changed)]

    def stand_down(self, about: str, only: Collection[str] = ()) -> tuple[list[str], list[Speak]]:
        """The cloud has closed an incident with the alarms `only` (of none: with all): forget those that were raised,
        of the resident and tests (never an open question, never what the resident hears nothing of and goes on).
        Returns their ids and what is said. While another alarm is open, "this call has ended" would be heard as said
        of that one: then the home only turns off a siren that nothing open needs.
        """
        closed = [a for a in self._open.values() if a.state is not S.PENDING and (not only or a.alarm_id in only)]
        closed = [a for a in closed if a.kind not in SILENT or a.cause == TEST]
        for alarm in closed:
            del self._open[alarm.alarm_id]
            self._remember(replace(alarm, state=S.CLEARED, reason="stood_down"))
        ids = [alarm.alarm_id for alarm in closed]
        if all(alarm.kind in SILENT for alarm in self._open.values()):
            return ids, [Speak("stood_down", about, ends=True)]
        if any(self._sounds(alarm) for alarm in closed) and not self._another_siren():
            return ids, [Speak("silenced", about, ends=True)]
        return ids, []

    def _asked_s(self, alarm: Alarm, now: Instant) -> float:
        """For how long an open question has been asked."""
        raise_s = self._ladders.at(alarm.kind, alarm.changed_at).raise_s
        return raise_s - ((alarm.deadline or now.mono) - now.mono)

    def _room(self, device: str, now: Instant) -> str | None:
        room = self._rooms.get(device)
        if room is not None or self._moved is None:
            return room
        return self._moved[0] if now.mono - self._moved[1] < _ROOM_KNOWN_S else None

    def _begin(self, detection: Detection, now: Instant) -> list[Effect]:
        if self._full(detection.kind) and (detection.kind in SILENT or row(self._open.values(), detection)):
            self.counts["too_many_open"] += 1
            return []
        ladder = self._ladders.at(detection.kind, now.wall)
        asking = ladder.raise_s > 0
        alarm = Alarm(
            alarm_id=uuid7(now.wall, self._rng),
            kind=detection.kind,
            priority=detection.priority,
            state=S.PENDING if asking else S.RAISED,
            at=detection.at,
            changed_at=now.wall,
            reason=detection.reason,
            device=detection.device,
            room=self._room(detection.device, now),
            evidence=detection.evidence[:MAX_EVIDENCE],
            decide_by=now.wall + ladder.raise_s if asking else None,
            deadline=now.mono + ladder.raise_s if asking else None,
            cause=detection.reason,
            sources=(detection.device,),
            step=1 if asking else 0,
            position=detection.position,
            confidence=detection.confidence,
        )
        self._open[alarm.alarm_id] = alarm
        return [Changed(alarm), *self._speech(alarm)]

    def _joinable(self, detection: Detection) -> Alarm | None:
        """The open alarm this detection is more evidence of; technical causes are each for themselves."""
        full, in_row = self._full(detection.kind), row(self._open.values(), detection)
        for alarm in reversed(self._open.values()):
            if alarm.kind is AlarmKind.TECHNICAL:
                if (detection.kind, detection.device, detection.reason) == (alarm.kind, alarm.device, alarm.cause):
                    return alarm
            elif moment(alarm.kind, detection.kind) is None or self._apart(alarm, detection):
                continue
            elif full or same_moment(
                alarm, detection, weighed(detection, self._risks, joint(alarm, detection)).priority, in_row
            ):
                return alarm
        return None

    def _echo(self, detection: Detection, now: Instant) -> bool:
        """Whether another detector says of the same device what the resident has just answered. The same detector again
        means that something has happened again, or is worse.
        """
        ended = self._ended.get((detection.kind, detection.device))
        if ended is None or now.mono - ended[0] >= self._merge_s:
            return False
        told = {(e.detector, e.device) for e in ended[1].evidence}
        again = any((e.detector, e.device) in told for e in detection.evidence)
        return not again and self._ladders.at(detection.kind, now.wall).raise_s > 0

    def _with_what_led_to_it(self, detection: Detection) -> Detection:
        """What is open of kinds that it would have taken up is evidence of it too: out of bed, then a fall."""
        before = [a for a in self._open.values() if takes_up(detection, a) and not self._apart(a, detection)]
        return replace(detection, evidence=(*detection.evidence, *(e for a in before for e in a.evidence)))

    def _full(self, kind: AlarmKind) -> bool:
        """Whether no further alarm may be opened beside those of its kind, or, of those that nobody hears, of its sort.
        A watch that cries for days must not use up the room of a call for help or of a fire.
        """
        same = (a.kind in SILENT if kind in SILENT else a.kind is kind for a in self._open.values())
        return sum(same) >= self._limit

    def _apart(self, alarm: Alarm, detection: Detection) -> bool:
        """Whether the two are about two residents, or about the numbers of two devices."""
        if AlarmKind.UNUSUAL in (alarm.kind, detection.kind):
            return alarm.device != detection.device
        return self._residents.apart(alarm.device, detection.device, vitals=detection.kind is AlarmKind.VITALS)

    def _join(self, alarm: Alarm, detection: Detection, now: Instant) -> list[Effect]:
        """What another sensor or detector saw is sent on as evidence; what the same one repeats is counted, and told
        now and then where it means that something has happened again; while the home asks, with its answer.
        """
        known = {(e.detector, e.device) for e in alarm.evidence}
        worse = alarm.kind is detection.kind and RANK[detection.priority] > RANK[alarm.priority]
        new = tuple(e for e in detection.evidence if worse or (e.detector, e.device) not in known)
        joined = replace(alarm, evidence=(*alarm.evidence, *new)[:MAX_EVIDENCE])
        joined = replace(joined, position=detection.position or joined.position)
        if alarm.kind is detection.kind:
            joined = replace(joined, confidence=detection.confidence)
        if alarm.kind is detection.kind and detection.device not in alarm.sources:
            joined = replace(joined, sources=(*alarm.sources, detection.device))
        if worse:
            joined = replace(joined, priority=detection.priority, evidence=(*alarm.evidence, *new)[-MAX_EVIDENCE:])
        untold = False
        if counts_repeats(detection) and alarm.kind is detection.kind and not worse and not new:
            joined, told = seen_again(joined, detection)
            untold = alarm.state is S.PENDING or not told
        self._open[alarm.alarm_id] = joined
        if worse and (alarm.state, Trigger.WORSE) in TRANSITIONS:
            return self._fire(joined, Trigger.WORSE, now)
        self.counts["merged"] += 1
        return [Changed(joined)] if joined != alarm and not untold else []

    def _condition_ended(self, detection: Detection, now: Instant) -> list[Effect]:
        """An alarm is cleared when the condition holds on none of its devices; vital signs are one for the person, and
        are cleared by the detector that raised them (a trend is not over because a score is low).
        """
        ended_by = {e.detector for e in detection.evidence}
        effects: list[Effect] = []
        for alarm in [a for a in self._open.values() if a.kind is detection.kind and not self._apart(a, detection)]:
            if alarm.kind is AlarmKind.TECHNICAL and detection.reason not in (alarm.cause, "condition_ended"):
                continue
            raised_by = {e.detector for e in alarm.evidence}
            if alarm.kind is AlarmKind.VITALS and ended_by and raised_by and not ended_by & raised_by:
                continue
            sources = alarm.sources or (alarm.device,)
            if alarm.kind is not AlarmKind.VITALS and detection.device not in sources:
                continue
            left = tuple(s for s in sources if s != detection.device)
            if left and alarm.kind is not AlarmKind.VITALS:
                self._open[alarm.alarm_id] = replace(alarm, sources=left)
                continue
            effects += self._fire(alarm, Trigger.CONDITION_ENDS, now)
        return effects

    def _fire(self, alarm: Alarm, trigger: Trigger, now: Instant) -> list[Effect]:
        found = TRANSITIONS.get((alarm.state, trigger))
        if found is None:
            return []
        state, reason = found
        if alarm.kind in SILENT:
            reason = alarm.cause  # the cloud closes the incident of this cause
        changed = replace(alarm, state=state, reason=reason, changed_at=now.wall, deadline=None)
        if trigger is Trigger.HELP and alarm.state is S.PENDING:
            changed = replace(changed, priority=Priority.HIGH)  # it is a call for help now, whatever the question was
        if state in ENDED:
            del self._open[alarm.alarm_id]
            self._ended[(alarm.kind, alarm.device)] = now.mono, changed
            self._remember(changed)
        else:
            self._open[alarm.alarm_id] = changed
        return [Changed(changed), *self._speech(changed)]

    def _remember(self, alarm: Alarm) -> None:
        self._recent[alarm.alarm_id] = alarm
        while len(self._recent) > _RECENT:
            self._recent.popitem(last=False)

    def _speech(self, alarm: Alarm) -> list[Effect]:
        if alarm.kind in SILENT:
            return []
        ladder = self._ladders.at(alarm.kind, alarm.changed_at)
        if alarm.state is S.PENDING:
            return [Speak(ladder.steps[0].phrase, alarm.alarm_id, ladder.steps[0].loudness)]
        if alarm.state is S.RAISED:
            return [Speak(ladder.raised.phrase, alarm.alarm_id, ladder.raised.loudness)]
        if alarm.state is S.ESCALATED:
            return [Speak("alarm_raised", alarm.alarm_id)]
        phrase = "cancelled" if alarm.state is S.CANCELLED_BY_RESIDENT else alarm.reason
        return [Speak(phrase, alarm.alarm_id, ends=not self._another_siren())]

    def _another_siren(self) -> bool:
        """Whether an alarm that sounds the siren is still open."""
        return any(self._sounds(alarm) for alarm in self._open.values() if alarm.state is not S.PENDING)

    def _sounds(self, alarm: Alarm) -> bool:
        return self._ladders.at(alarm.kind, alarm.changed_at).raised.loudness is Loudness.SIREN
