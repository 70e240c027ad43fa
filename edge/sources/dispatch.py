"""Which dialect a message is of; the one list of dialects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edge.readings import Reading
from edge.sources.base import Heard, Message, Seen, Source, Timed
from protocols.errors import ProtocolError, Reason


class Sources:
    """All dialects of one home, asked in order."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = tuple(sources)
        # Looked up once: for a Protocol isinstance() is slow, and time passes five times a second.
        self._timed = tuple(source for source in self._sources if isinstance(source, Timed))

    def filters(self) -> frozenset[str]:
        """Everything to subscribe to now."""
        return frozenset().union(*(s.filters() for s in self._sources))

    def name_of(self, topic: str) -> str:
        """The dialect's name, for counters."""
        return next((s.name for s in self._sources if s.wants(topic)), "unknown")

    def read(self, message: Message) -> Heard:
        """What the message says; raises ProtocolError (WRONG_TOPIC where no dialect wants it)."""
        for source in self._sources:
            if source.wants(message.topic):
                return source.read(message)
        raise ProtocolError(Reason.WRONG_TOPIC, message.topic[:200], "is of no dialect that is configured")

    def due(self, now: float) -> list[Reading]:
        """What follows from time alone."""
        return [reading for source in self._timed for reading in source.due(now)]

    def seen(self) -> Iterable[Seen]:
        """All devices heard of."""
        return [seen for source in self._sources for seen in source.seen()]
