"""The daemon as a process with a modem: killed while a message is on its way, started again, the cloud back later."""

from __future__ import annotations

import signal
from pathlib import Path

from protocols.wire import AlarmEvent, AlarmState, TellOutcome, ToldWhat
from tests.support.chain import wait_for
from tests.support.gateway import AnsweringCloud, GatewayProcess, home_and_cloud
from tests.support.modem import PtyModem

_MORE = """
[[devices]]
id = "button"
role = "button"
[fallback]
after_s = 0.5
home_name = "王奶奶家"
modem = {{ port = "{port}", answer_s = 20 }}
[[fallback.contacts]]
name = "女儿"
phone = "13800000001"
[[fallback.contacts]]
name = "Mr Li"
phone = "+8613800000002"
after_s = 1
lang = "en"
"""
_OVER = {
    ("13800000001", "【安居】王奶奶家：刚才的紧急呼叫警报已解除，不用再赶来。"),
    ("+8613800000002", "Anju: SOS alarm is over, 王奶奶家. No need to come."),
}


def test_killed_in_the_middle_of_a_message(tmp_path: Path) -> None:
    """The message under way is neither repeated nor forgotten, the next contact is told, the operator reads both, and
    both hear the end.
    """
    with PtyModem(final=[None]) as modem, home_and_cloud(tmp_path, answers=False) as (gateway, cloud):
        gateway.write(_MORE.format(port=modem.port))
        modem.on_text = lambda: gateway.signal(signal.SIGKILL)
        gateway.start()
        wait_for("alarm", lambda: _pressed(gateway, cloud))
        assert gateway.wait(60) == -signal.SIGKILL
        modem.on_text = lambda: None
        gateway.start()
        wait_for("second contact", lambda: modem.sent)
        cloud.answers = True
        told = wait_for("report", lambda: _told(cloud.alarms[-1][1]) if len(_told(cloud.alarms[-1][1])) == 2 else None)
        gateway.devices.publish("home/v1/button/senml", b'[{"bn":"button/","n":"button","vs":"cancel"}]', 1)
        wait_for("stand-down", lambda: len(modem.sent) == 3)
        last = wait_for("its report", lambda: [e for _, e in cloud.alarms if len(_told(e)) == 4])[-1]
    assert told == {
        ("女儿", "modem_sms", TellOutcome.UNKNOWN, ToldWhat.ALARM),
        ("Mr Li", "modem_sms", TellOutcome.SENT, ToldWhat.ALARM),
    }
    assert modem.sent[0] == ("+8613800000002", "Anju: SOS, 王奶奶家 bedroom. Centre unreachable. Please go or call!")
    assert set(modem.sent[1:]) == _OVER
    assert last.state is AlarmState.CANCELLED_BY_RESIDENT


def _pressed(gateway: GatewayProcess, cloud: AnsweringCloud) -> bool:
    """Whether the alarm is out; presses until then."""
    gateway.press_sos()
    return bool(cloud.alarms)


def _told(event: AlarmEvent) -> set[tuple[str, str, TellOutcome, ToldWhat]]:
    return {(t.who, t.channel, t.outcome, t.what) for t in event.told}
