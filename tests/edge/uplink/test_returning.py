"""Coming back after an outage: the newest state goes ahead with its own time, back-log at the cloud's pace."""

from __future__ import annotations

from pathlib import Path

from protocols.wire import Lane
from tests.support.chain import wait_for
from tests.support.gateway import AnsweringCloud, home_and_cloud
from tests.support.proxy import SlowProxy

_QUICK = """
[uplink]
backoff_first_s = 0.1
backoff_limit_s = 0.5
backlog_per_s = 1000
"""


def _times(cloud: AnsweringCloud, lane: Lane, value: float) -> set[float]:
    """The time stamps under which a value has come in a lane."""
    found: set[float] = set()
    for _, batch in list(cloud.batches):
        if Lane(batch.lane) is lane:
            base = 0.0
            for record in batch.records:
                base = record.bt if record.bt is not None else base
                if record.v == value:
                    found.add(base + (record.t or 0.0))
    return found


def test_the_newest_value_is_said_again_with_its_own_time(tmp_path: Path) -> None:
    """What was measured while the cloud was away is back-log; the last value of it comes as live too, under the very
    same time, so that it counts once; the older one does not.
    """
    proxies: list[SlowProxy] = []

    def through(port: int) -> int:
        proxies.append(SlowProxy(port))
        proxies[0].refuses = True
        return proxies[0].port

    with home_and_cloud(tmp_path, more=_QUICK, through=through) as (gateway, cloud):
        gateway.start()
        gateway.measure(20.5)
        gateway.measure(21.5)
        wait_for("back-log", lambda: gateway.status()["spool"]["depth"].get("backlog"))
        proxies[0].refuses = False
        live = wait_for("newest", lambda: _times(cloud, Lane.LIVE, 21.5))
        backlog = wait_for("back-log", lambda: _times(cloud, Lane.BACKLOG, 21.5))
        assert live == backlog
        assert len(live) == 1
        assert _times(cloud, Lane.LIVE, 20.5) == set()
        wait_for("spool empty", lambda: not any(gateway.status()["spool"]["depth"].values()))
    proxies[0].close()


def test_the_clouds_pace_is_kept(tmp_path: Path) -> None:
    """Asked for two batches a second the gateway sends no more, and live data does not wait behind them."""
    proxies: list[SlowProxy] = []

    def through(port: int) -> int:
        proxies.append(SlowProxy(port))
        proxies[0].refuses = True
        return proxies[0].port

    with home_and_cloud(tmp_path, more=_QUICK, through=through) as (gateway, cloud):
        one_each = gateway.path.read_text().replace("batch_interval_s = 1", "batch_interval_s = 1\nmax_records = 1")
        gateway.path.write_text(one_each)
        cloud.pace = 2.0
        gateway.start()
        for n in range(5):
            gateway.measure(20.0 + n)
        wait_for("back-log", lambda: gateway.status()["spool"]["depth"].get("backlog") == 5)
        proxies[0].refuses = False
        wait_for("all", lambda: len(cloud.sequences(Lane.BACKLOG)) == 5)
        assert gateway.status()["uplink"]["pace"] == 2.0
        at = [when for when, batch in cloud.batches if Lane(batch.lane) is Lane.BACKLOG]
        assert at[-1] - at[1] >= 1.0
    proxies[0].close()
