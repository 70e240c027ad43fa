"""Configuration sent by the cloud: validated whole, kept in one file replaced atomically, rolled back by itself.

Theory of operation. The local file is never written. What the cloud sends is an overlay of some sections, with a
version. One file beside the spool says which overlay is in force, which was before it, and whether the present one is
on trial. A trial ends well when the cloud answers on a connection made with it; it ends badly when `confirm_s` pass
without that, or after three starts of the process without it (a configuration that kills the gateway gets no further).
Once the gateway runs, the file is written on a thread: a flash card may take seconds, and an alarm would wait. Each
decision is made and kept under one lock, so that none is made from a state that another is about to replace.
The command stays unanswered during the trial; its outcome is sent with the cloud's first sign of life after it. Should
that be lost with the process, the cloud sends the command again, and that finds the outcome in the file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import structlog

from edge.clock import Clock
from edge.config import ConfigError, GatewayConfig, load
from edge.files import write_whole
from edge.tasks import to_its_end
from protocols.wire import Configure, Reply, ReplyStatus

log = structlog.get_logger()

STATE_NAME = "remote-config.json"
SETTABLE = frozenset(
    {"alarms", "telemetry", "uplink", "fallback", "status", "devices", "location", "climate", "stove", "unusual"}
    | {"log_level"}
)
"""What the cloud may set. Never: identity, brokers, spool, metrics."""
_NEVER_ENDS = ("_file", "_dir", "_url")
"""Keys ending so name credentials or places where data goes; they are the installer's."""
_INSTALLERS = frozenset({"fallback.modem"})
"""What only somebody who stands before the gateway can know."""
_MOST_STARTS = 3

Answer = Callable[[Reply], Awaitable[None]]
"""Sends a reply; returns once the broker has it."""


class Overlay(msgspec.Struct, frozen=True):
    """What one version sets."""

    version: int
    settings: dict[str, Any]


class Trial(msgspec.Struct, frozen=True):
    """The version in force is being tried since `since` (Unix seconds); `starts` counts starts of the process."""

    command_id: str
    since: float
    confirm_s: float
    starts: int = 0


class Outcome(msgspec.Struct, frozen=True):
    """What became of the last command."""

    command_id: str
    version: int
    done: bool
    detail: str


class RemoteState(msgspec.Struct, frozen=True):
    """The whole file."""

    current: Overlay | None = None
    previous: Overlay | None = None
    trial: Trial | None = None
    last: Outcome | None = None


def forbidden(settings: Mapping[str, Any]) -> list[str]:
    """Keys in `settings` that the cloud may not set, as dotted names."""
    found = [section for section in settings if section not in SETTABLE]
    pending = [(name, value) for name, value in settings.items() if name in SETTABLE]
    while pending:
        name, value = pending.pop()
        if isinstance(value, Mapping):
            pending += [(f"{name}.{key}", inner) for key, inner in value.items()]
        elif isinstance(value, list):
            pending += [(f"{name}.{i}", inner) for i, inner in enumerate(value)]
        if name.endswith(_NEVER_ENDS) or name in _INSTALLERS:
            found.append(name)
    return sorted(found)


def rolled_back(state: RemoteState, why: str) -> RemoteState:
    """The state after a trial that failed."""
    assert state.trial is not None
    assert state.current is not None
    words = f"version {state.current.version} rolled back: {why}"
    return RemoteState(state.previous, None, None, Outcome(state.trial.command_id, state.current.version, False, words))


class RemoteConfig:
    """Owns the state file; `reload` is asked for whenever another configuration is in force."""

    def __init__(self, local: Path, state_file: Path, clock: Clock, reload: Callable[[], None]) -> None:
        self._local = local
        self._file = state_file
        self._clock = clock
        self._reload = reload
        self.state = _read(state_file)
        self._tried_from = clock.now().mono
        self._reload_due = False
        self._untold: Outcome | None = None
        self._deciding = asyncio.Lock()
        self._kept = self.state
        self._refused = False

    def starting(self) -> GatewayConfig:
        """The configuration to start with: an overlay that was tried too often or cannot be used any more steps back.
        What follows is on flash on return, before anything runs, if flash takes it.

        Raises ConfigError if the local file itself is wrong.
        """
        trial = self.state.trial
        if trial is not None and trial.starts >= _MOST_STARTS:
            self._end_trial(rolled_back(self.state, f"not confirmed in {trial.starts} starts"))
        elif trial is not None:
            self.state = msgspec.structs.replace(
                self.state, trial=msgspec.structs.replace(trial, starts=trial.starts + 1)
            )
        config = self.present()
        self._write()
        return config

    def present(self) -> GatewayConfig:
        """The local file with the overlay in force; one that cannot be used any more steps back, which the next `tick`
        keeps. Raises ConfigError if the local file itself is wrong.
        """
        while self.state.current is not None:
            try:
                return load(self._local, self.state.current.settings)
            except ConfigError as error:
                load(self._local)
                log.critical("remote_config_unusable", version=self.state.current.version, error=str(error))
                if self.state.trial is not None:
                    self._end_trial(rolled_back(self.state, str(error)))
                else:
                    self.state = msgspec.structs.replace(self.state, current=self.state.previous, previous=None)
        return load(self._local)

    async def apply(self, command: Configure) -> Reply | None:
        """Judge a command and begin its trial once that is on flash; None while the outcome is open. Raises OSError."""
        return await to_its_end(self._apply(command))

    async def _apply(self, command: Configure) -> Reply | None:
        async with self._deciding:
            reply, tried = self._judge(command)
            if tried is None:
                return reply
            await asyncio.to_thread(write_whole, self._file, msgspec.json.encode(tried))
            self.state = self._kept = tried
            self._reload_due = True
        log.info("remote_config_trying", version=command.version, confirm_s=command.confirm_s)
        self._reload()
        return None

    def _judge(self, command: Configure) -> tuple[Reply | None, RemoteState | None]:
        """The answer, or the state in which the command is on trial; neither: that it is already."""
        state, last = self.state, self.state.last
        if last is not None and last.command_id == command.id:
            return self._reply(command.id, last.done, last.detail), None
        if state.trial is not None:
            if state.trial.command_id == command.id:
                return None, None
            return self._reply(command.id, False, "another version is being tried"), None
        if state.current is not None and command.version <= state.current.version:
            return self._reply(command.id, False, f"version {state.current.version} is in force"), None
        names = forbidden(command.settings)
        if names:
            return self._reply(command.id, False, f"the cloud may not set {', '.join(names)}"), None
        try:
            load(self._local, command.settings)
        except ConfigError as error:
            return self._reply(command.id, False, str(error)), None
        now = self._clock.now()
        trial = Trial(command.id, now.wall, command.confirm_s)
        return None, RemoteState(Overlay(command.version, command.settings), state.current, trial, last)

    def restarted(self) -> None:
        """The gateway begins to run with the configuration in force: the time of a trial counts from here."""
        self._tried_from = self._clock.now().mono
        self._reload_due = False

    async def reached(self, answer: Answer) -> None:
        """The cloud is there on the present configuration: a trial has ended well. It hears of every outcome it has not
        been told. Raises what `answer` raises; the outcome is then told the next time.
        """
        await to_its_end(self._confirm())
        untold = self._untold
        if untold is not None:
            await answer(self._reply(untold.command_id, untold.done, untold.detail))
            if self._untold is untold:
                self._untold = None

    async def _confirm(self) -> None:
        async with self._deciding:
            state = self.state
            if state.trial is None or state.current is None or self._reload_due:
                return
            version = state.current.version
            outcome = Outcome(state.trial.command_id, version, True, f"version {version} in force")
            self._end_trial(msgspec.structs.replace(state, trial=None, last=outcome))
            log.info("remote_config_confirmed", version=version)
            await asyncio.to_thread(self._write)

    async def tick(self) -> None:
        """Roll back what the cloud was not reached with, and keep what is not on flash yet."""
        if self.state.trial is None and self.state is self._kept:
            return
        await to_its_end(self._tick())

    async def _tick(self) -> None:
        async with self._deciding:
            trial, now = self.state.trial, self._clock.now().mono
            late = trial is not None and not self._reload_due and now - self._tried_from > trial.confirm_s
            if trial is not None and late:
                why = f"the cloud was not reached within {trial.confirm_s:.0f} s"
                self._end_trial(rolled_back(self.state, why))
                log.error("remote_config_rolled_back", why="cloud_not_reached")
            if self.state is not self._kept:
                await asyncio.to_thread(self._write)
        if late:
            self._reload()

    def version(self) -> int | None:
        """The version in force or on trial; None: the local file alone."""
        return self.state.current.version if self.state.current else None

    def describe(self) -> dict[str, Any]:
        """For the status: version in force (None: the local file alone), whether on trial, the last outcome."""
        state = self.state
        return {
            "version": self.version(),
            "trying_since": state.trial.since if state.trial else None,
            "last": msgspec.to_builtins(state.last),
        }

    def _end_trial(self, state: RemoteState) -> None:
        self.state, self._untold = state, state.last

    def _reply(self, command_id: str, done: bool, detail: str) -> Reply:
        status = ReplyStatus.DONE if done else ReplyStatus.REFUSED
        return Reply(v=1, id=command_id, at=self._clock.now().wall, status=status, detail=detail[:500])

    def _write(self) -> None:
        """Put the state on flash if it is not there; what a full disk refuses is in force, and `tick` tries again."""
        state = self.state
        if state is self._kept:
            return
        try:
            write_whole(self._file, msgspec.json.encode(state))
        except OSError as error:
            if not self._refused:
                log.critical("remote_config_not_kept", file=str(self._file), error=str(error))
            self._refused = True
            return
        self._kept, self._refused = state, False


def _read(path: Path) -> RemoteState:
    try:
        return msgspec.json.decode(path.read_bytes(), type=RemoteState)
    except FileNotFoundError:
        return RemoteState()
    except (OSError, msgspec.DecodeError) as error:
        log.critical("remote_config_unreadable", file=str(path), error=str(error))
        return RemoteState()
