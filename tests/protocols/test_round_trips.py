"""Whatever a message holds, it comes back as it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocols import wire
from protocols.errors import Reason

NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)
CODES = st.from_regex(r"[a-z0-9_]{1,64}", fullmatch=True)
EPOCHS = st.from_regex(r"[0-9a-f]{16}", fullmatch=True)
ALARM_IDS = st.from_regex(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", fullmatch=True)
TIMES = st.floats(0, wire.LATEST_TIME)
SEQS = st.integers(1, 2**53)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
LANES = st.sampled_from(wire.Lane)

ALARMS = st.builds(
    wire.AlarmEvent,
    v=st.just(1),
    alarm_id=ALARM_IDS,
    epoch=EPOCHS,
    seq=SEQS,
    kind=st.sampled_from(wire.AlarmKind),
    priority=st.sampled_from(wire.Priority),
    state=st.sampled_from(wire.AlarmState),
    at=TIMES,
    clock=st.sampled_from(wire.Clock),
    reason=CODES,
    sent=TIMES,
    changed_at=TIMES,
    device=st.none() | NAMES,
    room=st.none() | CODES,
    position=st.none()
    | st.builds(wire.Position, st.floats(-90, 90), st.floats(-180, 180), st.floats(0, 1e6), st.none() | TIMES),
    evidence=st.lists(
        st.builds(wire.Evidence, CODES, NAMES, TIMES, CODES, st.dictionaries(st.text(max_size=9), NUMBERS, max_size=4)),
        max_size=3,
    ),
    decide_by=TIMES,
)


@given(ALARMS)
def test_alarms(event: wire.AlarmEvent) -> None:
    """Any alarm event."""
    assert wire.decode_alarm(wire.encode(event)) == event


@st.composite
def _ranges(draw: st.DrawFn) -> list[tuple[int, int]]:
    edges = sorted(draw(st.sets(st.integers(1, 10_000), min_size=2, max_size=12)))
    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    return [(first, last) for i, (first, last) in enumerate(pairs) if i == 0 or first > pairs[i - 1][1]]


@given(
    st.lists(st.builds(wire.AckRanges, EPOCHS, LANES, _ranges()), max_size=4),
    st.lists(st.builds(wire.Rejection, EPOCHS, LANES, SEQS, st.sampled_from(Reason)), max_size=4),
    TIMES,
)
def test_acks(ranges: list[wire.AckRanges], rejected: list[wire.Rejection], at: float) -> None:
    """Any acknowledgement."""
    ack = wire.Ack(1, at, ranges, rejected)
    assert wire.decode_ack(wire.encode(ack)) == ack


COMMANDS = st.one_of(
    st.builds(
        wire.Progress,
        st.just(1),
        CODES,
        TIMES,
        CODES,
        st.sampled_from(wire.ProgressStage),
        st.none() | CODES,
        ALARM_IDS,
    ),
    st.builds(wire.SendAgain, st.just(1), CODES, TIMES, EPOCHS, LANES, SEQS, SEQS),
    st.builds(wire.Silence, st.just(1), CODES, TIMES, ALARM_IDS),
)


@given(COMMANDS)
def test_commands(command: wire.Command) -> None:
    """Any command."""
    assert wire.decode_command(wire.encode(command)) == command
