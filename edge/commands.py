"""What the gateway does when the cloud commands: tell the resident, send again, test, silence."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import assert_never

from edge.alarms import Alarms, Speak
from edge.clock import Clock
from edge.phrases import on_the_way
from edge.pipeline import Pipeline
from edge.remote import RemoteConfig
from edge.spool.store import Spool
from edge.tasks import in_thread
from edge.uplink.lanes import Lanes
from protocols.wire import (
    Command,
    Configure,
    Progress,
    ProgressStage,
    Reply,
    ReplyStatus,
    SendAgain,
    Silence,
    TestAlarm,
)

_MAX_AGAIN = 1_000


class Commands:
    """Carries out each command once; a second delivery is answered and does nothing."""

    def __init__(
        self,
        alarms: Alarms,
        pipeline: Pipeline,
        spool: Spool,
        executor: Executor,
        clock: Clock,
        say: Callable[[Speak], None],
        lanes: Callable[[], Lanes],
        remote: RemoteConfig | None = None,
        on_stood_down: Callable[[list[str]], None] = lambda _ids: None,
    ) -> None:
        self._alarms = alarms
        self._pipeline = pipeline
        self._spool = spool
        self._executor = executor
        self._clock = clock
        self._say = say
        self._lanes = lanes
        self._remote = remote
        self._on_stood_down = on_stood_down

    async def __call__(self, command: Command) -> Reply | None:
        """Carry out one command and answer it; None: the answer comes when it is delivered again."""
        now = self._clock.now()
        if command.expires_at < now.wall:
            return Reply(v=1, id=command.id, at=now.wall, status=ReplyStatus.EXPIRED)
        if isinstance(command, Configure):
            return await self._configure(command)
        if not await in_thread(self._executor, self._spool.first_time, command.id, now.wall):
            return Reply(v=1, id=command.id, at=now.wall, status=ReplyStatus.DONE, detail="seen before")
        detail = await self._carry_out(command)
        return Reply(v=1, id=command.id, at=self._clock.now().wall, status=ReplyStatus.DONE, detail=detail)

    async def _configure(self, command: Configure) -> Reply | None:
        try:
            if self._remote is not None:
                return await self._remote.apply(command)
            detail = "this gateway takes no configuration"
        except OSError as error:
            detail = f"could not be kept: {error}"
        return Reply(v=1, id=command.id, at=self._clock.now().wall, status=ReplyStatus.REFUSED, detail=detail)

    async def _carry_out(self, command: Progress | SendAgain | TestAlarm | Silence) -> str:
        if isinstance(command, Progress):
            return await self._progress(command)
        if isinstance(command, SendAgain):
            stored = await in_thread(self._executor, self._spool.after, command.lane, command.first - 1, _MAX_AGAIN)
            again = [seq for seq in stored if seq <= command.last]
            self._lanes().again(command.lane, again)
            return f"{len(again)} messages"
        if isinstance(command, TestAlarm):
            await self._pipeline.apply(self._alarms.test(self._clock.now()))
            return ""
        if isinstance(command, Silence):
            self._say(Speak("silenced", command.alarm_id, ends=True))
            return ""
        assert_never(command)

    async def _progress(self, command: Progress) -> str:
        about = command.alarm_id or command.incident_id
        if command.stage is ProgressStage.STOOD_DOWN:
            closed, said = self._alarms.stand_down(about, command.alarm_ids)
            for speak in said:
                self._say(speak)
            await in_thread(self._executor, self._spool.forget_alarms, closed)
            self._on_stood_down(closed)
            return said[0].phrase if said else "another alarm is open"
        phrase = {
            ProgressStage.RECEIVED: "help_received",
            ProgressStage.CLAIMED: "operator_claimed",
            ProgressStage.DISPATCHED: on_the_way(command.responder_role),
            ProgressStage.ON_SCENE: "responder_arrived",
        }[command.stage]
        self._say(Speak(phrase, about))
        return phrase
