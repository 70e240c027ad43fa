"""What the family reads: one SMS, whatever the home is called."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.fallback.texts import KINDS, LONGEST, sms_text, units
from edge.phrases import Lang
from protocols.wire import AlarmKind, ToldWhat

_WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=64)


@given(what=st.sampled_from(ToldWhat), lang=st.sampled_from(get_args(Lang)), kind=st.sampled_from(AlarmKind),
       home=_WORDS, room=st.none() | _WORDS)  # fmt: skip
def test_one_sms_with_its_kind(what: ToldWhat, lang: Lang, kind: AlarmKind, home: str, room: str | None) -> None:
    """Every text fits one SMS, names the kind, and as much of the home's name as fits."""
    text = sms_text(what, lang, kind, home, room)
    assert units(text) <= LONGEST
    assert KINDS[kind][lang] in text
    assert next(home[:n] for n in range(6, -1, -1) if units(home[:n]) <= 6) in text


@pytest.mark.parametrize(
    ("lang", "room", "want"),
    [
        ("zh", "bathroom", "【安居】王奶奶家卫生间：疑似跌倒！平台暂时联系不上，请马上打电话或去看看。"),
        ("zh", None, "【安居】王奶奶家：疑似跌倒！平台暂时联系不上，请马上打电话或去看看。"),
        ("en", "bathroom", "Anju: fall, 王奶奶家 bathroom. Centre unreachable. Please go or call!"),
    ],
)
def test_the_words(lang: Lang, room: str | None, want: str) -> None:
    """Home, room and kind in the contact's language."""
    assert sms_text(ToldWhat.ALARM, lang, AlarmKind.FALL, "王奶奶家", room) == want
