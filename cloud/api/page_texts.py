"""Words of the family and responder pages."""

from __future__ import annotations

from cloud.notify.texts import Lang

_TEXTS: dict[str, tuple[str, str]] = {
    "app": ("安居", "Anju"),
    "other_lang": ("English", "中文"),
    "code_title": ("请输入短信中的验证码", "Enter the code of the SMS"),
    "code": ("验证码", "Code"),
    "open": ("打开", "Open"),
    "wrong": ("验证码不正确或已过期。请核对短信。", "The code is wrong or has expired. Please look at the SMS again."),
    "too_many": ("尝试次数过多，请稍后再试。", "Too many attempts. Please wait a moment."),
    "family_title": ("{name}家的报警", "Call from {name}'s home"),
    "at": ("{time} 报警", "at {time}"),
    "step_new": ("已收到报警", "Call received"),
    "step_claimed": ("接警员正在处理", "An operator has it"),
    "step_dispatched": ("已派人上门", "Help is on the way"),
    "step_on_scene": ("人员已到场", "Help has arrived"),
    "step_closed": ("已结束", "Ended"),
    "can_you_go": ("您能马上过去吗？", "Can you go there now?"),
    "go": ("我能去", "I can go"),
    "cannot": ("我去不了", "I cannot"),
    "said_family_on_the_way": ("您已答复：能去。我们已告诉老人。", "You said you can go. The home has been told."),
    "said_family_cannot": ("您已答复：去不了。", "You said you cannot go."),
    "ended": ("已结束：{outcome}。谢谢您。", "Ended: {outcome}. Thank you."),
    "call_centre": ("老人电话", "Call the resident"),
    "vitals": ("最近体征", "Latest vitals"),
    "no_vitals": ("最近没有体征数据", "No recent vitals"),
    "vitals_away": ("体征数据暂不可用", "Vitals are not available at the moment"),
    "just_now": ("刚刚", "just now"),
    "minutes_ago": ("{n} 分钟前", "{n} min ago"),
    "who_helps": ("前往人员：{who}", "Who is going: {who}"),
    "job_title": ("上门任务", "Job"),
    "address": ("地址", "Address"),
    "access": ("入户说明", "Access"),
    "conditions": ("健康状况", "Conditions"),
    "resident": ("老人", "Resident"),
    "years": ("{n} 岁", "{n} y"),
    "female": ("女", "female"),
    "male": ("男", "male"),
    "map": ("在地图中打开", "Open in the map"),
    "accept": ("接单", "Accept"),
    "decline": ("拒绝", "Decline"),
    "arrive": ("我已到场", "I have arrived"),
    "state_offered": ("等待您的答复", "Waiting for your answer"),
    "state_accepted": ("您已接单，请前往", "Accepted: please go"),
    "state_declined": ("您已拒绝", "You declined"),
    "state_arrived": ("您已到场", "You have arrived"),
    "state_ended": ("任务已结束，谢谢您", "The job has ended. Thank you."),
    "state_stood_down": ("任务已结束，无需前往", "The job has ended; you need not go"),
    "heart_rate": ("心率", "Heart rate"),
    "spo2": ("血氧", "SpO2"),
    "blood_pressure": ("血压", "Blood pressure"),
    "systolic": ("收缩压", "Systolic"),
    "diastolic": ("舒张压", "Diastolic"),
    "body_temperature": ("体温", "Temperature"),
    "role_nurse": ("社区护士", "Community nurse"),
    "role_volunteer": ("志愿者", "Volunteer"),
    "role_social_worker": ("社工", "Social worker"),
    "role_ambulance": ("救护车", "Ambulance"),
}


def text_of(key: str, lang: Lang, **values: object) -> str:
    """The words for `key`."""
    zh, en = _TEXTS[key]
    return (zh if lang == "zh" else en).format(**values)
