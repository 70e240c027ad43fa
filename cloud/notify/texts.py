"""The messages people get, in Chinese and English. Chinese ones fit one SMS segment of 70 characters.

Providers refuse links made for one message, so a text holds a constant address and a short code.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Literal

Lang = Literal["zh", "en"]
SEGMENT = 70
"""Characters of one UCS-2 segment, signature included (3GPP TS 23.040: 140 bytes)."""
_CHINA = timezone(timedelta(hours=8))

KINDS: dict[str, tuple[str, str]] = {
    "fall": ("疑似跌倒", "possible fall"),
    "sos": ("按键求助", "SOS pressed"),
    "vitals": ("体征异常", "abnormal vitals"),
    "inactivity": ("久无活动", "no activity"),
    "wandering": ("走失风险", "wandering"),
    "geofence": ("离开安全区", "left safe area"),
    "bed_exit": ("离床未归", "out of bed"),
    "smoke": ("烟雾报警", "smoke alarm"),
    "gas": ("燃气报警", "gas alarm"),
    "co": ("一氧化碳", "carbon monoxide"),
    "flood": ("水浸报警", "water leak"),
    "heat": ("室内过热", "too hot indoors"),
    "cold": ("室内过冷", "too cold indoors"),
    "stove": ("灶火无人", "stove unattended"),
    "unusual": ("读数异常", "unusual reading"),
    "technical": ("设备故障", "device fault"),
}
OUTCOMES: dict[str, tuple[str, str]] = {
    "real_fall": ("确为跌倒，已处理", "a real fall, attended to"),
    "real_emergency": ("确有险情，已处理", "a real emergency, attended to"),
    "false_alarm": ("误报，人平安", "a false alarm, all is well"),
    "test": ("测试", "a test"),
    "cancelled_by_resident": ("本人取消，人平安", "cancelled by the resident"),
    "technical_fixed": ("设备已修复", "the device was mended"),
    "other": ("已处理", "attended to"),
}

_TEMPLATES: dict[str, tuple[tuple[str, ...], str]] = {
    "contact_alarm": (
        (
            "{s}{name}家{kind}({time})。能去回1不能回2。详情{url} 码{code}",
            "{s}{name}家{kind}。能去回1不能回2。{url} 码{code}",
        ),
        "{s}{name}: {kind} at {time}. Reply 1 if you can go, 2 if not. {url} code {code}",
    ),
    "supervisor_alarm": (
        ("{s}警情无人接：{name}{kind}，已{minutes}分钟。{address}",),
        "{s}Unclaimed for {minutes} min: {name}, {kind}. {address}",
    ),
    "responder_job": (
        (
            "{s}派单:{name}{kind}，{address}。1接2拒3到 {url} 码{code}",
            "{s}派单:{name}{kind}。回1接2拒3到场。{url} 码{code}",
        ),
        "{s}Job: {name}, {kind}. {address}. Reply 1 accept, 2 decline, 3 arrived. {url} code {code}",
    ),
    "contact_stand_down": (
        ("{s}{name}的报警已结束：{outcome}。谢谢您。",),
        "{s}{name}: the call has ended, {outcome}. Thank you.",
    ),
    "responder_stand_down": (
        ("{s}{name}的任务已结束，还没到的不必再去。谢谢。",),
        "{s}{name}: the job has ended; no need to go if you are not there yet. Thank you.",
    ),
    "reply_closed": (
        ("{s}该警情已结束，无需处理。谢谢。",),
        "{s}That incident is closed; nothing more to do. Thank you.",
    ),
    "reply_unknown": (
        ("{s}没有读懂您的回复。家属回1能去、2不能；人员回1接2拒3到场。",),
        "{s}Not understood. Family: 1 can go, 2 cannot. Responders: 1 accept, 2 decline, 3 arrived.",
    ),
}
TEMPLATES = frozenset(_TEMPLATES)


def kind_text(kind: str, lang: Lang) -> str:
    """Short name of an alarm kind."""
    zh, en = KINDS.get(kind, (kind, kind))
    return zh if lang == "zh" else en


def outcome_text(outcome: str, lang: Lang) -> str:
    """Short words for an outcome, as the family reads it."""
    zh, en = OUTCOMES.get(outcome, OUTCOMES["other"])
    return zh if lang == "zh" else en


def clock_text(at: float) -> str:
    """Time of day in China."""
    return datetime.fromtimestamp(at, UTC).astimezone(_CHINA).strftime("%H:%M")


def render(template: str, lang: Lang, signature: str, params: dict[str, str]) -> str:
    """The text of a message; a Chinese one leaves out what is dispensable, then shortens names, to fit one segment."""
    chinese, english = _TEMPLATES[template]
    mark = f"【{signature}】"
    if lang == "en":
        return english.format(s=mark, **params)
    for form in chinese:
        text = form.format(s=mark, **params)
        if len(text) <= SEGMENT:
            return text
    shorter = dict(params)
    for key in ("address", "name"):
        excess = len(chinese[-1].format(s=mark, **shorter)) - SEGMENT
        value = shorter.get(key, "")
        if excess > 0 and len(value) > 2:
            shorter[key] = value[: max(1, len(value) - excess - 1)] + "…"
    return chinese[-1].format(s=mark, **shorter)
