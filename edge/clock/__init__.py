"""The gateway's time: what it is, how far it can be trusted, and what it cannot be earlier than."""

from __future__ import annotations

from edge.clock.system import EARLIEST_PLAUSIBLE, Clock, Instant, KeptClock, SystemClock, boot_id, system_rng

__all__ = ["EARLIEST_PLAUSIBLE", "Clock", "Instant", "KeptClock", "SystemClock", "boot_id", "system_rng"]
