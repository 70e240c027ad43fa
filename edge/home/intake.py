"""What the home broker delivers faster than it can be taken: fair between topics, bounded, and every drop counted.

Theory of operation. Each topic has a queue of its own and they are served in turn, so that a device that floods delays
nobody but itself; within a topic order stays. A topic's queue is short: of a flood at QoS 0 the oldest messages go. A
message of QoS 1 stays, for its sender was promised so: dropped without acknowledgement it would hold a place in the
broker's window until the next connection.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from typing import Any

PER_TOPIC = 64
_MOST_UNACKNOWLEDGED = 10
"""Times the limit: what a broker may have in flight to us without bound of its own."""


class Intake(asyncio.Queue[Any]):
    """Messages with `topic` and `qos`; drops are counted in `counts["incoming_dropped"]`."""

    def __init__(self, maxsize: int, counts: Counter[str]) -> None:
        self._counts = counts
        self._topics: OrderedDict[str, deque[Any]] = OrderedDict()
        self._droppable: Counter[str] = Counter()
        self._length = 0
        self._limit = maxsize
        super().__init__()

    def qsize(self) -> int:
        """Messages that wait."""
        return self._length

    def empty(self) -> bool:
        """Whether none waits."""
        return self._length == 0

    def put_nowait(self, item: Any) -> None:
        """Take a message; another may go for it. Raises asyncio.QueueFull."""
        topic = str(item.topic)
        if item.qos == 0 and len(self._topics.get(topic, ())) >= PER_TOPIC and not self._drop_from(topic):
            self._counts["incoming_dropped"] += 1
            raise asyncio.QueueFull
        if self._length >= self._limit:
            self._make_room(item.qos)
        super().put_nowait(item)

    def _make_room(self, qos: int) -> None:
        """Drop one of QoS 0 where most of them wait; without any, only QoS 1 may go beyond the limit, for a while."""
        fullest = max(self._droppable, key=self._droppable.__getitem__, default=None)
        if fullest is not None and self._drop_from(fullest):
            return
        if qos == 0 or self._length >= _MOST_UNACKNOWLEDGED * self._limit:
            self._counts["incoming_dropped"] += 1
            raise asyncio.QueueFull

    def _drop_from(self, topic: str) -> bool:
        """Drop the oldest message of QoS 0 of a topic; False if there is none."""
        waiting = self._topics[topic]
        for i, item in enumerate(waiting):
            if item.qos == 0:
                del waiting[i]
                self._taken(topic, item)
                self._counts["incoming_dropped"] += 1
                return True
        return False

    def _taken(self, topic: str, item: Any) -> None:
        self._length -= 1
        if item.qos == 0:
            self._droppable[topic] -= 1
            if not self._droppable[topic]:
                del self._droppable[topic]
        if not self._topics[topic]:
            del self._topics[topic]

    def _init(self, maxsize: int) -> None:
        pass

    def _put(self, item: Any) -> None:
        topic = str(item.topic)
        self._topics.setdefault(topic, deque()).append(item)
        if item.qos == 0:
            self._droppable[topic] += 1
        self._length += 1

    def _get(self) -> Any:
        topic, waiting = next(iter(self._topics.items()))
        item = waiting.popleft()
        self._taken(topic, item)
        if waiting:
            self._topics.move_to_end(topic)
        return item
