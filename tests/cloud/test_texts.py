"""What people are sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.notify.texts import KINDS, OUTCOMES, SEGMENT, TEMPLATES, clock_text, kind_text, outcome_text, render

PARAMS = {
    "name": "林虚构",
    "kind": "久无活动",
    "time": "17:15",
    "minutes": "3",
    "address": "梅林示范路 12 号 3 栋 501",
    "url": "https://anju.example.cn/s",
    "code": "UQAXCL",
    "outcome": "确有险情，已处理",
}


@pytest.mark.parametrize("template", sorted(TEMPLATES))
@given(name=st.text(min_size=1, max_size=60), address=st.text(min_size=1, max_size=200))
def test_chinese_fits_one_segment(template: str, name: str, address: str) -> None:
    """However long names and addresses are, a Chinese message is one segment and keeps its code and address."""
    text = render(template, "zh", "安居", PARAMS | {"name": name, "address": address})
    assert len(text) <= SEGMENT
    assert text.startswith("【安居】")
    if template in ("contact_alarm", "responder_job"):
        assert PARAMS["url"] in text
        assert PARAMS["code"] in text


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_kind_and_outcome_has_words(lang: str) -> None:
    """No code of ours reaches a person as a code."""
    assert all("_" not in kind_text(kind, lang) for kind in KINDS)  # type: ignore[arg-type]
    assert all(kind_text(kind, "zh").isascii() is False for kind in KINDS)
    assert all("_" not in outcome_text(outcome, lang) for outcome in OUTCOMES)  # type: ignore[arg-type]


def test_times_are_china_time() -> None:
    """2026-11-24 00:30 UTC is half past eight in Shenzhen."""
    assert clock_text(1_795_480_200.0) == "08:30"
