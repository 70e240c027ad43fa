"""What the home writes to the family: one SMS of at most 70 UTF-16 units, in Chinese or English. Pure."""

from __future__ import annotations

from edge.phrases import Lang
from protocols.wire import AlarmKind, ToldWhat

LONGEST = 70
"""What one SMS in UCS-2 holds (3GPP TS 23.038); a longer text would be split, and its parts may come late or never."""

_K = AlarmKind
KINDS: dict[AlarmKind, dict[Lang, str]] = {
    _K.FALL: {"zh": "疑似跌倒", "en": "fall"},
    _K.SOS: {"zh": "紧急呼叫", "en": "SOS"},
    _K.VITALS: {"zh": "体征异常", "en": "vital signs"},
    _K.INACTIVITY: {"zh": "长时间无活动", "en": "no activity"},
    _K.WANDERING: {"zh": "走失风险", "en": "wandering"},
    _K.GEOFENCE: {"zh": "离开安全区", "en": "left safe area"},
    _K.BED_EXIT: {"zh": "离床未归", "en": "out of bed"},
    _K.SMOKE: {"zh": "烟雾", "en": "smoke"},
    _K.GAS: {"zh": "燃气泄漏", "en": "gas leak"},
    _K.CO: {"zh": "一氧化碳", "en": "CO"},
    _K.FLOOD: {"zh": "漏水", "en": "water leak"},
    _K.HEAT: {"zh": "室内过热", "en": "home too hot"},
    _K.COLD: {"zh": "室内过冷", "en": "home too cold"},
    _K.STOVE: {"zh": "灶火无人", "en": "stove left on"},
    _K.UNUSUAL: {"zh": "读数异常", "en": "unusual reading"},
    _K.TECHNICAL: {"zh": "测试", "en": "test"},
}
"""The only technical alarm that is ever told is a test: faults, and numbers that are unusual, ring nobody."""

ROOMS: dict[str, str] = {
    "bedroom": "卧室",
    "bathroom": "卫生间",
    "kitchen": "厨房",
    "living_room": "客厅",
    "hall": "门厅",
    "outside": "户外",
}
"""Chinese names; any other room is named as the configuration names it."""

_SHAPES: dict[tuple[ToldWhat, Lang], str] = {
    (ToldWhat.ALARM, "zh"): "【安居】{home}{room}：{kind}！平台暂时联系不上，请马上打电话或去看看。",
    (ToldWhat.ALARM, "en"): "Anju: {kind}, {home}{room}. Centre unreachable. Please go or call!",
    (ToldWhat.STAND_DOWN, "zh"): "【安居】{home}：刚才的{kind}警报已解除，不用再赶来。",
    (ToldWhat.STAND_DOWN, "en"): "Anju: {kind} alarm is over, {home}. No need to come.",
}


def units(text: str) -> int:
    """Length of `text` as an SMS counts it: UTF-16 units."""
    return len(text.encode("utf-16-be")) // 2


def sms_text(what: ToldWhat, lang: Lang, kind: AlarmKind, home: str, room: str | None) -> str:
    """The whole SMS. First the room, then the home's name is cut to what fits."""
    shape, word = _SHAPES[what, lang], KINDS[kind][lang]
    place = ""
    if room is not None:
        place = ROOMS.get(room, room) if lang == "zh" else f" {room.replace('_', ' ')}"
    spare = LONGEST - units(shape.format(home="", room="", kind=word))
    home = _cut(home, spare)
    if "{room}" not in shape or units(home) + units(place) > spare:
        place = ""
    return shape.format(home=home, room=place, kind=word)


def _cut(text: str, limit: int) -> str:
    while units(text) > limit:
        text = text[:-1]
    return text
