"""The twelve things users of other gateways complain about, each shown absent: real daemon, real brokers."""

from __future__ import annotations

import random
import signal
import sqlite3
import statistics
import time
from contextlib import closing
from pathlib import Path

import pytest

from edge.config import UplinkSection
from edge.spool.store import Drained, Spool
from edge.tasks import Backoff
from protocols.senml import Record
from protocols.wire import Clock, Configure, Lane, ReplyStatus, StatusKind, TelemetryBatch, encode
from tests.support.chain import wait_for
from tests.support.gateway import AnsweringCloud, GatewayProcess, home_and_cloud
from tests.support.proxy import SlowProxy

pytestmark = pytest.mark.xdist_group("gateway-pitfalls")

_QUICK = """
[uplink]
backoff_first_s = 0.2
backoff_limit_s = 1
resend_after_s = 3
backlog_per_s = 1000
"""
_DAY_OF_BATCHES = 288
"""One every five minutes."""


def _fill(data: Path, batches: int) -> None:
    """A spool that holds a day's back-log, one batch every five minutes, all in the past."""
    data.mkdir(parents=True)
    with closing(Spool(data / "spool.db", 512_000_000)) as spool:
        start = time.time() - 300.0 * batches
        for n in range(batches):
            at = start + 300.0 * n

            def build(epoch: str, seq: int, at: float = at) -> bytes:
                records = [Record(bn="therm/", bt=at, n="temperature", u="Cel", v=20.0)]
                return encode(TelemetryBatch(1, epoch, "backlog", seq, Clock.SYNCED, at, records))

            spool.append_batch(Lane.BACKLOG, build, Drained(0, ()))


def _depth(data: Path) -> int:
    with closing(sqlite3.connect(data / "spool.db")) as db:
        return int(db.execute("SELECT count(*) FROM messages").fetchone()[0])


def test_pitfall_02_half_open_link_loses_nothing_and_is_left_within_ten_seconds(tmp_path: Path) -> None:
    """The link dies without a word: an alarm's missing answer makes the gateway ask, and the broker's leave the link.

    Both waiting times together are below ten seconds; keep-alive would have taken thirty.
    """
    patience = UplinkSection()
    assert patience.alarm_answer_s + patience.probe_s < 10
    proxies: list[SlowProxy] = []

    def through(port: int) -> int:
        proxies.append(SlowProxy(port))
        return proxies[0].port

    with home_and_cloud(tmp_path, more=_QUICK, through=through) as (gateway, cloud):
        gateway.start()
        gateway.measure(20.0)
        wait_for("first batch", lambda: cloud.batches)
        proxies[0].freeze()
        gateway.measure(21.5)
        gateway.press_sos()
        wait_for("alarm", lambda: cloud.alarms)
        wait_for("reading", lambda: any(r.v == 21.5 for _, b in list(cloud.batches) for r in b.records))
        status = gateway.status()
        assert status["uplink"]["events"]["half_open"] == 1
        assert [lost["cause"] for lost in gateway.log("uplink_lost")] == ["half_open"]
        assert status["uplink"]["trouble"] is None
    proxies[0].close()


def test_pitfall_03_deleted_only_when_the_cloud_has_it(tmp_path: Path) -> None:
    """The broker acknowledges, the cloud does not: everything stays on flash and is sent again after a kill."""
    with home_and_cloud(tmp_path, more=_QUICK, answers=False) as (gateway, cloud):
        gateway.start()
        gateway.press_sos()
        wait_for("alarm", lambda: cloud.alarms)
        gateway.signal(signal.SIGKILL)
        gateway.wait()
        assert _depth(gateway.data) >= 1
        first = cloud.alarms[0][1]
        seen = len(cloud.alarms)
        cloud.answers = True
        gateway.start()
        wait_for("alarm again", lambda: len(cloud.alarms) > seen)
        assert cloud.alarms[-1][1].alarm_id == first.alarm_id
        assert cloud.alarms[-1][1].seq == first.seq
        wait_for("spool empty", lambda: _depth(gateway.data) == 0)


def test_pitfall_05_a_days_backlog_never_holds_up_what_is_new(tmp_path: Path) -> None:
    """After a day without the cloud an alarm and the newest state overtake the back-log, and all of the day comes."""
    with home_and_cloud(tmp_path, more=_QUICK.replace("= 1000", "= 60")) as (gateway, cloud):
        _fill(gateway.data, _DAY_OF_BATCHES)
        gateway.start()
        wait_for("birth", lambda: cloud.statuses)
        gateway.measure(23.5)
        gateway.press_sos()
        wait_for("alarm", lambda: cloud.alarms)
        assert len(cloud.sequences(Lane.BACKLOG)) < _DAY_OF_BATCHES
        wait_for("newest", lambda: [b for _, b in list(cloud.batches) if b.lane == "live"])
        assert len(cloud.sequences(Lane.BACKLOG)) < _DAY_OF_BATCHES
        everything = set(range(1, _DAY_OF_BATCHES + 1))
        wait_for("back-log", lambda: cloud.sequences(Lane.BACKLOG) >= everything, 60)
        assert cloud.sequences(Lane.BACKLOG) == everything
        wait_for("spool empty", lambda: _depth(gateway.data) == 0)


def test_pitfall_05_backlog_keeps_the_gateways_own_pace(tmp_path: Path) -> None:
    """Ten batches at five a second are not sent faster than that, though the cloud answers at once."""
    with home_and_cloud(tmp_path, more=_QUICK.replace("= 1000", "= 5")) as (gateway, cloud):
        _fill(gateway.data, 10)
        gateway.start()
        wait_for("back-log", lambda: len(cloud.sequences(Lane.BACKLOG)) == 10)
        times = [at for at, b in cloud.batches if b.lane == "backlog"]
        assert times[-1] - times[0] >= 1.5


def test_pitfall_07_thousands_come_back_spread(tmp_path: Path) -> None:
    """Full jitter: the first tries of a thousand gateways fill the whole second, later ones spread far wider."""
    firsts, fifths = [], []
    for seed in range(1_000):
        backoff = Backoff(1.0, 120.0, random.Random(seed))
        waits = [backoff.next_s() for _ in range(5)]
        firsts.append(waits[0])
        fifths.append(waits[4])
    assert max(sum(1 for w in firsts if k / 10 <= w < (k + 1) / 10) for k in range(10)) < 150
    assert statistics.median(fifths) > 6
    assert max(fifths) <= 16


def _configure(version: int, settings: dict[str, object], confirm_s: float = 60.0) -> Configure:
    return Configure(1, f"c-{version}", time.time() + 600, version, settings, confirm_s)


def _again_until_answered(cloud: AnsweringCloud, command: Configure) -> tuple[ReplyStatus, str]:
    """As the cloud does: the command is sent again until the gateway has answered."""

    def answered() -> list[tuple[ReplyStatus, str]]:
        found = [(r.status, r.detail) for r in list(cloud.replies) if r.id == command.id]
        if not found:
            cloud.command(command)
            time.sleep(0.4)
        return found

    return wait_for(f"answer to {command.id}", answered)[0]  # type: ignore[no-any-return]


def _heard(gateway: GatewayProcess) -> dict[str, object]:
    status = gateway.status()
    return {"epoch": status["epoch"], "depth": status["spool"]["depth"].get("alarm", 0), "config": status["config"]}


def test_pitfall_10_pushed_configuration_never_touches_the_spool(tmp_path: Path) -> None:
    """Refused whole, applied whole, or rolled back by itself, also over a kill; epoch, alarm and local file stay."""
    with home_and_cloud(tmp_path, more=_QUICK, answers=False) as (gateway, cloud):
        gateway.start()
        gateway.press_sos()
        wait_for("alarm", lambda: cloud.alarms)
        local, before = gateway.path.read_text(), _heard(gateway)

        bad = _again_until_answered(cloud, _configure(1, {"alarms": {"question_s": -3}, "log_level": "debug"}))
        assert bad[0] is ReplyStatus.REFUSED
        assert "alarms.question_s" in bad[1]
        spool = _again_until_answered(cloud, _configure(2, {"spool": {"limit_bytes": 1_000_000}}))
        assert spool == (ReplyStatus.REFUSED, "the cloud may not set spool")

        good = _again_until_answered(cloud, _configure(3, {"alarms": {"question_s": 20}, "status": {"heartbeat_s": 5}}))
        assert good == (ReplyStatus.DONE, "version 3 in force")

        unheard = _configure(4, {"alarms": {"question_s": 10}}, confirm_s=2.0)
        cloud.command(unheard)
        wait_for("trial", lambda: len(gateway.log("remote_config_trying")) == 2)
        gateway.signal(signal.SIGKILL)
        gateway.wait()
        gateway.start()
        wait_for("rolled back", lambda: gateway.log("remote_config_rolled_back"))
        assert _again_until_answered(cloud, unheard) == (
            ReplyStatus.REFUSED,
            "version 4 rolled back: the cloud was not reached within 2 s",
        )
        after = _heard(gateway)
        assert (after["epoch"], after["depth"]) == (before["epoch"], before["depth"])
        assert after["config"]["version"] == 3  # type: ignore[index]
        assert gateway.path.read_text() == local


def test_pitfall_11_no_busy_loop_while_nothing_works(tmp_path: Path) -> None:
    """Without a cloud the daemon tries with pauses and uses a small share of the time that passes by its own clock."""
    with home_and_cloud(tmp_path, more=_QUICK, through=lambda port: 1) as (gateway, _):
        gateway.start()
        wait_for("trouble", lambda: gateway.status()["uplink"]["trouble"] == "lost")
        before = gateway.status()
        time.sleep(3)
        after = gateway.status()
        passed = after["at"] - before["at"]
        assert after["cpu_s"] - before["cpu_s"] < 0.2 * passed
        assert after["uplink"]["events"]["lost"] - before["uplink"]["events"]["lost"] < 15 * passed


def test_the_uplink_is_born_again_after_a_reload(tmp_path: Path) -> None:
    """SIGHUP: a bad file changes nothing and says so; a good one is in force, with the open alarm and the epoch."""
    with home_and_cloud(tmp_path, more=_QUICK) as (gateway, cloud):
        gateway.start()
        gateway.press_sos()
        wait_for("alarm", lambda: cloud.alarms)
        epoch = gateway.status()["epoch"]
        gateway.write(_QUICK + "[alarms]\nquestion_s = 'long'\n")
        gateway.signal(signal.SIGHUP)
        wait_for("refusal", lambda: gateway.log("reload_refused"))
        assert "alarms.question_s" in gateway.log("reload_refused")[0]["error"]
        gateway.write(_QUICK + "[alarms]\nquestion_s = 12\n")
        births = sum(s.kind is StatusKind.BIRTH for s in cloud.statuses)
        gateway.signal(signal.SIGHUP)
        wait_for("reload", lambda: gateway.log("reloaded"))
        wait_for("birth", lambda: sum(s.kind is StatusKind.BIRTH for s in list(cloud.statuses)) > births)
        assert gateway.status()["epoch"] == epoch
        assert gateway.log("gateway_started")[-1]["open_alarms"] == 1
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0
        assert not gateway.log("stop_forced")
