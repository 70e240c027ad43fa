"""The chain as processes with short waiting times, each of which a test can kill and start again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from firmware_sim.demo.brokers import configuration, program
from firmware_sim.demo.registry import make_registry
from tests.support.district import PASSWORD
from tests.support.mosquitto import free_port, wait_for_port

DEVICES = """
[[devices]]
id = "wrist-1"
role = "wearable"
position = "wrist"
[[devices]]
id = "waist-1"
role = "wearable"
position = "waist"
[[devices]]
id = "oximeter-1"
role = "oximeter"
[[devices]]
id = "sos-1"
role = "sos"
room = "bathroom"
[[devices]]
id = "button-1"
role = "button"
room = "bathroom"
[[devices]]
id = "speaker-1"
role = "speaker"
"""


def wait_for(what: str, found: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    """Ask until the answer is true; returns it. Raises TimeoutError naming `what`."""
    end = time.monotonic() + timeout_s
    while True:
        answer = found()
        if answer:
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {timeout_s:.0f} s")
        time.sleep(0.05)


@dataclass(slots=True)
class Chain:
    """One home broker, one cloud broker, the cloud, and a gateway per name in `gateways` (all on that home broker)."""

    folder: Path
    question_s: float = 1.0
    gateways: tuple[str, ...] = ("gw-demo",)
    influxdb_url: str | None = None
    database_url: str | None = None
    ports: dict[str, int] = field(default_factory=dict)
    commands: dict[str, list[str]] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def configure(self) -> None:
        """Write all files, migrate, import the registry."""
        folder = self.folder
        homes = [f"home-broker-{g}" for g in self.gateways]
        self.ports = {name: free_port() for name in (*homes, "cloud-broker", "api")}
        for name in (*homes, "cloud-broker"):
            text = configuration(name, self.ports[name], free_port(), folder / name, ())
            (folder / f"{name}.conf").write_text(text)
            self.commands[name] = [str(program()), "-c", str(folder / f"{name}.conf")]
        self._configure_cloud()
        for gateway in self.gateways:
            self._configure_gateway(gateway)

    def _configure_cloud(self) -> None:
        folder = self.folder
        store = f'[timeseries]\nsqlite_path = "{folder}/timeseries.db"'
        if self.influxdb_url is not None:
            store = f'[timeseries.influxdb]\nurl = "{self.influxdb_url}"\ntimeout_s = 2'
        (folder / "cloud.toml").write_text(
            f"""log_format = "json"
[broker]
port = {self.ports["cloud-broker"]}
[database]
url = "{self.database_url or f"sqlite+aiosqlite:///{folder}/anju.db"}"
{store}
[ingest]
flush_interval_s = 0.05
[supervision]
pending_grace_s = 1
will_grace_s = 30
[api]
port = {self.ports["api"]}
secure_cookie = false
[metrics]
port = 0
"""
        )
        (folder / "registry.json").write_text(json.dumps(make_registry(8, PASSWORD)))
        with_config = ["--config", str(folder / "cloud.toml")]
        tool = [sys.executable, "-m", "cloud.cli"]
        subprocess.run([*tool, "migrate", *with_config], check=True, stdout=subprocess.DEVNULL)
        importing = [*tool, "registry", "import", *with_config, str(folder / "registry.json")]
        subprocess.run(importing, check=True, stdout=subprocess.DEVNULL)
        self.commands["cloud"] = [*tool, "run", *with_config]

    def _configure_gateway(self, gateway: str) -> None:
        path = self.folder / f"{gateway}.toml"
        path.write_text(
            f"""[gateway]
id = "{gateway}"
data_dir = "{self.folder}/{gateway}"
[home_broker]
port = {self.ports[f"home-broker-{gateway}"]}
[cloud_broker]
host = "127.0.0.1"
port = {self.ports["cloud-broker"]}
tls = false
[alarms]
question_s = {self.question_s}
[spool]
group_commit_s = 0.1
[telemetry]
batch_interval_s = 0.3
[uplink]
resend_after_s = 2
backoff_first_s = 0.2
backoff_limit_s = 1
keepalive_s = 4
[status]
heartbeat_s = 5
[clock]
wait_for_time_s = 0
[metrics]
port = 0
{DEVICES}"""
        )
        self.commands[gateway] = [sys.executable, "-m", "edge.cli", "run", "--config", str(path)]

    def start(self, *names: str) -> None:
        """Start these, or all in order, and return once they listen."""
        for name in names or tuple(self.commands):
            self.spawn(name)
            if name in self.ports:
                wait_for_port(self.ports[name])
            if name == "cloud":
                wait_for_port(self.ports["api"])

    def spawn(self, name: str) -> None:
        """Start one without waiting for it."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(self.commands[name], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self, name: str) -> None:
        """kill -9."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """Stop all, the last first."""
        for process in reversed(self.running.values()):
            process.send_signal(signal.SIGTERM)
        for process in reversed(self.running.values()):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()

    def log(self, name: str, event: str) -> list[dict[str, Any]]:
        """What one process has logged of one kind, over all its lives."""
        found = []
        for line in (self.folder / f"{name}.log").read_text(errors="replace").splitlines():
            if f'"event": "{event}"' in line:
                try:
                    found.append(json.loads(line))
                except ValueError:
                    continue  # half a line, written when it was killed
        return found

    def operator(self) -> Operator:
        """Somebody at the console."""
        return Operator(f"http://127.0.0.1:{self.ports['api']}")

    def publisher(self, gateway: str = "gw-demo") -> mqtt.Client:
        """A device on the home broker of `gateway` that keeps what was not acknowledged and sends it again."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"devices-{gateway}", clean_session=False)
        client.user_data_set(set[int]())
        client.on_publish = lambda _client, acknowledged, mid, *_: acknowledged.add(mid)
        client.max_inflight_messages_set(200)
        client.reconnect_delay_set(1, 1)
        client.connect("127.0.0.1", self.ports[f"home-broker-{gateway}"], keepalive=5)
        client.loop_start()
        return client


def all_accepted(devices: mqtt.Client, infos: Sequence[mqtt.MQTTMessageInfo], timeout_s: float = 30.0) -> None:
    """Return once the broker has acknowledged all of these, however often the connection broke meanwhile."""
    acknowledged = devices.user_data_get()
    wait_for("acknowledgements of the home broker", lambda: {i.mid for i in infos} <= acknowledged, timeout_s)


def leave(devices: mqtt.Client) -> None:
    """Disconnect a publisher and wait until its socket is closed."""
    devices.disconnect()
    wait_for("publisher leaves", lambda: not devices.is_connected() and devices.socket() is None, 10)
    devices.loop_stop()


@dataclass(slots=True)
class Operator:
    """Works by the public API, again and again while the cloud is away."""

    url: str
    client: httpx.Client | None = None

    def _signed_in(self) -> httpx.Client:
        if self.client is None:
            client = httpx.Client(base_url=self.url, headers={"X-Requested-With": "anju"}, timeout=10, trust_env=False)
            body = {"login": "demo", "password": PASSWORD}
            client.post("/api/v1/sign-in", json=body).raise_for_status()
            self.client = client
        return self.client

    def get(self, path: str, **params: Any) -> Any:
        """Read. Raises httpx.HTTPError."""
        return self._signed_in().get(f"/api/v1{path}", params=params).raise_for_status().json()

    def try_get(self, path: str, **params: Any) -> Any:
        """Read; None while the cloud is away."""
        try:
            return self.get(path, **params)
        except httpx.HTTPError:
            return None

    def act(self, incident: str, action: str, **body: Any) -> Any:
        """Do something, on the present version. Raises httpx.HTTPError."""
        for _ in range(10):
            version = self.get(f"/incidents/{incident}")["version"]
            answer = self._signed_in().post(f"/api/v1/incidents/{incident}/{action}", json={"version": version, **body})
            if answer.status_code != 409 or answer.json()["code"] != "version_conflict":
                return answer.raise_for_status().json()
        raise RuntimeError(f"{action}: ten conflicts")

    def open_life(self) -> list[dict[str, Any]]:
        """Open life incidents in full; none while the cloud is away."""
        listed = self.try_get("/incidents") or []
        return [self.get(f"/incidents/{i['id']}") for i in listed if i["class"] == "life"]

    def close_all(self, outcome: str = "test") -> int:
        """Claim and close everything of class life; returns how many there were."""
        found = self.open_life()
        for incident in found:
            self.act(incident["id"], "claim")
            self.act(incident["id"], "close", outcome=outcome)
        return len(found)

    def leave(self) -> None:
        """Close the connections."""
        if self.client is not None:
            self.client.close()


@contextmanager
def running_chain(folder: Path, names: Sequence[str] = (), **options: Any) -> Iterator[Chain]:
    """A configured and started chain; all is stopped afterwards."""
    chain = Chain(folder, **options)
    chain.configure()
    try:
        chain.start(*names)
        for gateway in chain.gateways:
            if not names or gateway in names:
                wait_for(f"{gateway} online", partial(chain.log, gateway, "uplink_connected"))
                wait_for(f"{gateway} at home", partial(chain.log, gateway, "home_broker_connected"))
        yield chain
    finally:
        chain.stop()
