"""What the home says to the resident, in Chinese and English."""

from __future__ import annotations

from typing import Literal

Lang = Literal["zh", "en"]

PHRASES: dict[str, dict[Lang, str]] = {
    "are_you_ok": {
        "zh": "您还好吗？没事请按取消键；需要帮助请按求助键。",
        "en": "Are you all right? Press cancel if you are fine, help if you need help.",
    },
    "are_you_ok_again": {
        "zh": "请回答：您还好吗？没有回答，我马上叫人来。",
        "en": "Please answer: are you all right? If you do not answer, I will call for help.",
    },
    "fall_question": {
        "zh": "您是不是摔倒了？没事请按取消键；需要帮助请按求助键。",
        "en": "Have you fallen? Press cancel if you are fine, help if you need help.",
    },
    "vitals_question": {
        "zh": "您的身体数据不太正常。您还好吗？没事请按取消键；不舒服请按求助键。",
        "en": "Your readings are unusual. Press cancel if you feel well, help if you do not.",
    },
    "inactivity_question": {
        "zh": "很久没有看到您活动了。您还好吗？没事请按取消键。",
        "en": "I have not seen you move for a long time. Are you all right? Press cancel if you are.",
    },
    "bed_exit_question": {
        "zh": "您起床很久了。您还好吗？没事请按取消键；需要帮助请按求助键。",
        "en": "You have been out of bed for a while. Press cancel if you are fine, help if you need help.",
    },
    "wandering_question": {
        "zh": "现在不早了，您要出门吗？请回到屋里。没事请按取消键。",
        "en": "It is late. Are you going out? Please come back inside. Press cancel if all is well.",
    },
    "alarm_raised": {"zh": "正在为您呼叫帮助，请不要紧张。", "en": "I am calling for help. Please stay calm."},
    "cancelled": {"zh": "好的，已取消。", "en": "All right, cancelled."},
    "help_received": {"zh": "呼叫中心已收到您的求助。", "en": "The call centre has your call."},
    "operator_claimed": {"zh": "接线员正在处理您的求助。", "en": "An operator is dealing with your call."},
    "nurse_on_the_way": {"zh": "护士正在赶来。", "en": "A nurse is on the way."},
    "volunteer_on_the_way": {"zh": "志愿者正在赶来。", "en": "A volunteer is on the way."},
    "social_worker_on_the_way": {"zh": "社工正在赶来。", "en": "A social worker is on the way."},
    "ambulance_on_the_way": {"zh": "救护车正在赶来。", "en": "An ambulance is on the way."},
    "family_on_the_way": {"zh": "您的家人正在赶来。", "en": "Your family is on the way."},
    "responder_arrived": {"zh": "帮助您的人已经到了。", "en": "Help has arrived."},
    "stood_down": {"zh": "这次求助已经结束。祝您安好。", "en": "This call has ended. Be well."},
    "smoke_siren": {"zh": "发现烟雾！请马上离开！", "en": "Smoke! Leave the house now!"},
    "gas_siren": {
        "zh": "燃气泄漏！不要开灯，不要用火，请马上离开！",
        "en": "Gas leak! No lights, no flames, leave the house now!",
    },
    "co_siren": {
        "zh": "一氧化碳超标！请马上打开门窗并离开！",
        "en": "Carbon monoxide! Open the windows and leave the house now!",
    },
    "flood_warning": {
        "zh": "发现漏水，请小心地滑。正在为您通知平台。",
        "en": "Water on the floor. Mind your step. I am telling the call centre.",
    },
    "heat_warning": {
        "zh": "屋里太热了。请喝水，打开空调或电扇，到凉快的地方去。",
        "en": "It is too hot in here. Drink water, turn on the fan or the air conditioning, go where it is cooler.",
    },
    "cold_warning": {
        "zh": "屋里太冷了。请打开取暖，多穿衣服，喝点热水。",
        "en": "It is too cold in here. Turn on the heating, dress warmly, drink something hot.",
    },
    "stove_question": {
        "zh": "灶还开着，厨房里没有人。请去看一看。没事请按取消键。",
        "en": "The stove is on and nobody is in the kitchen. Please go and look. Press cancel if all is well.",
    },
    "movement_seen": {"zh": "看到您在活动，已取消。", "en": "I see you moving. Cancelled."},
    "condition_ended": {"zh": "情况已恢复正常。", "en": "All is back to normal."},
    "silenced": {"zh": "提示音已关闭。", "en": "The alarm sound is off."},
    "test": {"zh": "这是一次测试，不用担心。", "en": "This is a test. Nothing is wrong."},
}


def on_the_way(role: str | None) -> str:
    """The phrase for a responder of this role setting out; an unknown role says that help was received."""
    code = f"{role}_on_the_way"
    return code if code in PHRASES else "help_received"
