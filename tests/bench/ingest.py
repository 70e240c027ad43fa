"""CPU of ingest per value, against Telegraf on the same messages and on the form Telegraf likes best.

Each run starts a Mosquitto and an InfluxDB of its own, subscribes the one client that is measured, publishes all
batches of ten values as fast as the broker takes them, and waits until the client is idle and every value is stored.
CPU seconds are user plus system time of the processes. Batches go round over all homes, as a district sends them, so
that our worker answers nearly every batch with an acknowledgement of its own.
"""

from __future__ import annotations

import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from firmware_sim.fleet import batches
from firmware_sim.fleet.registry import gateway_name, home_name
from tests.bench import report
from tests.bench.publisher import publish_all
from tests.bench.rig import Rig, rig

_STEP_MS = 250
_NUMBER = re.compile(rb'((?:kg|beat/min|1/min)","v":)[0-9.]+')
_TELEGRAF = """[agent]
  interval = "1s"
  flush_interval = "1s"
  metric_batch_size = 5000
  metric_buffer_limit = 2000000
  omit_hostname = true
  logfile = ""
[[inputs.mqtt_consumer]]
  servers = ["tcp://127.0.0.1:{port}"]
  topics = ["{topic}"]
  qos = 1
  max_undelivered_messages = 100000
{parser}
[[outputs.influxdb]]
  urls = ["{url}"]
  database = "anju"
  skip_database_creation = true
"""
_SENML = """  data_format = "json_v2"
  [[inputs.mqtt_consumer.json_v2]]
    measurement_name = "vitals"
    [[inputs.mqtt_consumer.json_v2.object]]
      path = "records"
      tags = ["n"]
      excluded_keys = ["bn", "bt", "u", "t"]
"""
_FLAT = """  data_format = "json"
  name_override = "vitals"
  tag_keys = ["home", "device"]
  json_string_fields = ["consciousness"]
  json_time_key = "t"
  json_time_format = "unix_ms"
"""


def _rows(count: int, homes: int) -> Iterator[tuple[int, int, int]]:
    """Home, sequence, time (ms) of each batch, all in the last minutes."""
    rounds = -(-count // homes)
    begin = int(time.time() * 1000) - rounds * _STEP_MS - 60_000
    for i in range(count):
        home, turn = i % homes, i // homes
        yield home, turn + 1, begin + turn * _STEP_MS + home % 200


def _precise(found: re.Match[bytes]) -> bytes:
    return found[1] + b"%d.%09d" % (random.randrange(40, 80), random.getrandbits(29))


def _senml(count: int, homes: int, digits: bool) -> list[tuple[bytes, bytes]]:
    topics = [f"anju/v1/{gateway_name(i)}/up/telemetry".encode() for i in range(homes)]
    epoch = f"{random.getrandbits(64):016x}"
    made = []
    for home, seq, at in _rows(count, homes):
        body = batches.batch(epoch, "live", home, seq, at)
        if digits:  # values of full precision, which no two batches share
            body = _NUMBER.sub(_precise, body)
        made.append((topics[home], body))
    return made


def _flat(count: int, homes: int) -> list[tuple[bytes, bytes]]:
    return [(b"flat/" + home_name(home).encode(), batches.flat(home, seq, at)) for home, seq, at in _rows(count, homes)]


def _measure(bench: Rig, client: str, messages: Sequence[tuple[bytes, bytes]], stored: str) -> dict[str, float]:
    names = ("mosquitto", "influxd", client)
    before = {name: bench.usage(name).cpu_s for name in names}
    begun = time.monotonic()
    taken = publish_all(bench.broker_port, messages)
    assert taken == len(messages), f"the broker acknowledged {taken} of {len(messages)}"
    while bench.count(stored) < len(messages):
        if time.monotonic() - begun > 60 + len(messages) / 1_000:
            raise TimeoutError(f"{client}: only {bench.count(stored)} of {len(messages)} are stored")
        time.sleep(0.5)
    took = time.monotonic() - begun
    bench.wait_idle(client, 1.5)
    used = {name: bench.usage(name).cpu_s - before[name] for name in names}
    values = len(messages) * batches.VALUES
    return {
        "client_us": used[client] / values * 1e6,
        "chain_us": sum(used.values()) / values * 1e6,
        "broker_us": used["mosquitto"] / values * 1e6,
        "influx_us": used["influxd"] / values * 1e6,
        "rss_mb": bench.usage(client).peak_rss_mb,
        "values_per_s": values / took,
    }


def _anju(count: int, homes: int, digits: bool = False) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="anju-bench-") as folder, rig(Path(folder)) as bench:
        bench.configure(more="[ingest]\nmax_in_flight_batches = 1000000\nmax_in_flight_bytes = 2000000000\n")
        bench.import_homes(homes)
        bench.start_worker()
        bench.wait_client("anju-ingest", 2)
        messages = _senml(count, homes, digits)
        return _measure(bench, "worker", messages, "SELECT count(seq) FROM delivery")


def _telegraf(count: int, homes: int, *, flat: bool) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="anju-bench-") as folder, rig(Path(folder)) as bench:
        assert bench.influx is not None
        bench.configure()
        bench.tool("timeseries", "init")
        topic, parser = ("flat/+", _FLAT) if flat else ("anju/v1/+/up/telemetry", _SENML)
        text = _TELEGRAF.format(port=bench.broker_port, topic=topic, parser=parser, url=bench.influx.url)
        (bench.folder / "telegraf.conf").write_text(text)
        bench.spawn("telegraf", [os.environ["ANJU_TELEGRAF"], "--config", str(bench.folder / "telegraf.conf")])
        bench.wait_client("Telegraf")
        messages = _flat(count, homes) if flat else _senml(count, homes, digits=False)
        field = "heart_rate" if flat else "v_count"
        stored = f"SELECT count({field}) FROM vitals" if flat else "SELECT count(v) FROM vitals WHERE n = 'heart_rate'"
        return _measure(bench, "telegraf", messages, stored)


def main() -> int:
    """Entry point of `scripts/bench ingest`."""
    options = report.parser("ingest", "CPU per value of ingest, against Telegraf 1.37.2")
    options.add_argument("--batches", type=int, default=200_000, help="of ten values each (default 200000)")
    options.add_argument("--homes", type=int, default=10_000)
    options.add_argument("--no-peer", action="store_true", help="leave Telegraf out")
    chosen = options.parse_args()
    count, homes = chosen.batches, chosen.homes
    parts = 2 if chosen.no_peer else 4
    print(f"takes about {chosen.runs * parts * (15 + count / 8000) / 60:.0f} minutes", file=sys.stderr)
    runs = []
    for i in range(chosen.runs):
        ours = _anju(count, homes)
        varied = _anju(count, homes, digits=True)
        run = {
            "anju_cpu_us_per_value": ours["client_us"],
            "anju_varied_cpu_us_per_value": varied["client_us"],
            "chain_cpu_us_per_value": ours["chain_us"],
            "broker_cpu_us_per_value": ours["broker_us"],
            "influxdb_cpu_us_per_value": ours["influx_us"],
            "values_per_s": ours["values_per_s"],
            "anju_peak_rss_mb": ours["rss_mb"],
        }
        if not chosen.no_peer:
            senml, flat = _telegraf(count, homes, flat=False), _telegraf(count, homes, flat=True)
            run |= {
                "telegraf_senml_cpu_us_per_value": senml["client_us"],
                "telegraf_flat_cpu_us_per_value": flat["client_us"],
                "telegraf_senml_chain_cpu_us_per_value": senml["chain_us"],
                "telegraf_flat_chain_cpu_us_per_value": flat["chain_us"],
                "telegraf_senml_values_per_s": senml["values_per_s"],
                "telegraf_flat_values_per_s": flat["values_per_s"],
                "telegraf_senml_peak_rss_mb": senml["rss_mb"],
                "ratio_senml": senml["client_us"] / ours["client_us"],
                "ratio_flat": flat["client_us"] / ours["client_us"],
            }
        runs.append(run)
        print(f"run {i + 1}/{chosen.runs}: " + ", ".join(f"{k} {v:.2f}" for k, v in run.items()), file=sys.stderr)
    programs = {"mosquitto": "/usr/sbin/mosquitto -h", "influxd": f"{os.environ['ANJU_INFLUXD']} version"}
    if not chosen.no_peer:
        programs["telegraf"] = f"{os.environ['ANJU_TELEGRAF']} --version"
    return report.finish("ingest", chosen, runs, report.versions(**programs))


if __name__ == "__main__":
    sys.exit(main())
