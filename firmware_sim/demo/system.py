"""The demo's parts, configured and started: two brokers, cloud, gateway, home, neighbourhood, phones."""

from __future__ import annotations

import base64
import json
import os
import queue
import secrets
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from firmware_sim.demo import registry as people
from firmware_sim.demo.brokers import cloud_account, configuration, gateway_account, program
from firmware_sim.demo.processes import DemoError, Processes, free_port, listens, wait_until
from firmware_sim.devices import gateway_devices

LIGHT_HOMES = 50
CLOUD_USER = "cloud"
Command = list[str | Path]


@dataclass(slots=True)
class DemoOptions:
    """What the demo runs with."""

    folder: Path
    port: int
    question_s: float = 20.0
    fall_after_s: float | None = None
    recording: str | None = None
    influxd: Path | None = None
    influxdb_url: str | None = None
    """An InfluxDB that runs already."""
    database_url: str | None = None
    """A database instead of the folder's SQLite file."""
    light_homes: int = LIGHT_HOMES


@dataclass(slots=True)
class DemoSystem:
    """The running parts and how to reach them."""

    options: DemoOptions
    processes: Processes
    password: str = ""
    ports: dict[str, int] = field(default_factory=dict)
    home_events: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)
    gateway: subprocess.Popen[str] | None = None
    _home: subprocess.Popen[str] | None = None
    _known: bool = False
    """This folder's registry is in the database already."""

    @property
    def console(self) -> str:
        """Address of console and API."""
        return f"http://127.0.0.1:{self.options.port}"

    @property
    def phones(self) -> str:
        """Address of the phones' page."""
        return f"http://127.0.0.1:{self.ports['phones']}"

    def start(self) -> None:
        """Write the configuration and start everything; returns once every part answers. Raises DemoError."""
        folder = self.options.folder
        folder.mkdir(parents=True, exist_ok=True)
        names = ("home", "home_nats", "cloud", "cloud_nats", "phones", "influxdb", "gateway_metrics", "cloud_metrics")
        self.ports = {name: free_port() for name in names}
        self._write_secrets()
        self._start_brokers()
        if self.options.influxd is not None:
            self._start_influxdb(self.options.influxd)
        self._start_cloud()
        secret_args: Command = [
            *("--secret-file", folder / "sms.secret"),
            *("--inbound-secret-file", folder / "inbound.secret"),
            *("--cloud-url", self.console),
        ]
        self.processes.start(
            "phones",
            [
                *_sim("phones"),
                "--port",
                str(self.ports["phones"]),
                *secret_args,
                "--names-file",
                folder / "phones.json",
            ],
        )
        self._start_gateway_and_home()
        near = ["--port", str(self.ports["cloud"]), "--homes", str(self.options.light_homes)]
        self.processes.start(
            "neighbourhood", [*_sim("neighbourhood"), *near, "--password-file", folder / "gateways.secret"]
        )
        wait_until("the console", lambda: _answers(f"{self.console}/readyz"), self.processes)
        wait_until("the phone network", lambda: _answers(f"{self.phones}/messages"), self.processes)

    def order(self, text: str) -> None:
        """Tell the simulated home what to do."""
        assert self._home is not None
        assert self._home.stdin is not None
        self._home.stdin.write(text + "\n")
        self._home.stdin.flush()

    def _write_secrets(self) -> None:
        folder = self.options.folder
        for name in ("sms", "inbound"):
            self._secret(name, "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
        self._secret("gateways", secrets.token_urlsafe(16))
        self._secret("cloud", secrets.token_urlsafe(16))
        # Easy to type, made anew for every folder, good for this machine's loopback only.
        self.password = self._secret("console", f"anju-{secrets.randbelow(10_000):04d}")
        registry = people.make_registry(self.options.light_homes, self.password)
        text = json.dumps(registry, ensure_ascii=False, indent=1)
        file = folder / "registry.json"
        self._known = file.exists() and file.read_text(encoding="utf-8") == text and (folder / "imported").exists()
        _write(file, text)
        _write(folder / "phones.json", json.dumps(people.phone_names(registry), ensure_ascii=False))

    def _secret(self, name: str, value: str) -> str:
        path = self.options.folder / f"{name}.secret"
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(value)
        return path.read_text().strip()

    def _start_brokers(self) -> None:
        folder = self.options.folder
        secret = (folder / "gateways.secret").read_text()
        gateways = [people.FULL_GATEWAY, *(f"{people.PREFIX}{i:03d}" for i in range(1, self.options.light_homes + 1))]
        accounts = [gateway_account(name, secret) for name in gateways]
        accounts.append(cloud_account(CLOUD_USER, (folder / "cloud.secret").read_text()))
        for name, allowed in (("home", []), ("cloud", accounts)):
            port, other = self.ports[name], self.ports[f"{name}_nats"]
            text = configuration(f"anju-{name}", port, other, folder / f"{name}-broker", allowed)
            _write(folder / f"{name}-broker.conf", text)
            self.processes.start(f"{name}-broker", [program(), "-c", folder / f"{name}-broker.conf"])
        for name in ("home", "cloud"):
            wait_until(f"the {name} broker", partial(listens, self.ports[name]), self.processes)

    def _start_influxdb(self, influxd: Path) -> None:
        port = self.ports["influxdb"]
        data = self.options.folder / "influxdb"
        text = f"""reporting-disabled = true
bind-address = "127.0.0.1:{free_port()}"
[meta]
  dir = "{data}/meta"
[data]
  dir = "{data}/data"
  wal-dir = "{data}/wal"
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
"""
        _write(self.options.folder / "influxdb.conf", text)
        self.processes.start("influxdb", [influxd, "-config", self.options.folder / "influxdb.conf"])
        wait_until("InfluxDB", lambda: _answers(f"http://127.0.0.1:{port}/ping"), self.processes)

    def _start_cloud(self) -> None:
        folder = self.options.folder
        store = f'[timeseries]\nsqlite_path = "{folder}/timeseries.db"'
        influxdb = self.options.influxdb_url
        if self.options.influxd is not None:
            influxdb = f"http://127.0.0.1:{self.ports['influxdb']}"
        if influxdb is not None:
            store = f'[timeseries.influxdb]\nurl = "{influxdb}"\ndatabase = "anju_demo"'
        database = self.options.database_url or f"sqlite+aiosqlite:///{folder}/anju.db"
        text = f"""log_format = "json"
[broker]
port = {self.ports["cloud"]}
username = "{CLOUD_USER}"
password_file = "{folder}/cloud.secret"
[database]
url = "{database}"
{store}
[supervision]
will_grace_s = 15
gateway_silent_after_s = 180
[notify]
sms_url = "{self.phones}/sms"
secret_file = "{folder}/sms.secret"
inbound_secret_file = "{folder}/inbound.secret"
public_url = "{self.console}"
allow_private_addresses = true
[api]
port = {self.options.port}
secure_cookie = false
[metrics]
port = {self.ports["cloud_metrics"]}
"""
        _write(folder / "cloud.toml", text)
        with_config: Command = ["--config", folder / "cloud.toml"]
        if self._known:
            self.processes.start("cloud", [*_tool("cloud.cli"), "run", "--migrate", *with_config])
            return
        self.processes.run("anju-cloud migrate", [*_tool("cloud.cli"), "migrate", *with_config])
        importing: Command = [*_tool("cloud.cli"), "registry", "import", *with_config, folder / "registry.json"]
        self.processes.run("anju-cloud registry import", importing)
        _write(folder / "imported", "")
        self.processes.start("cloud", [*_tool("cloud.cli"), "run", *with_config])

    def _start_gateway_and_home(self) -> None:
        folder = self.options.folder
        text = f"""[gateway]
id = "{people.FULL_GATEWAY}"
data_dir = "{folder}/gateway"
[home_broker]
port = {self.ports["home"]}
[cloud_broker]
host = "127.0.0.1"
port = {self.ports["cloud"]}
tls = false
password_file = "{folder}/gateways.secret"
[alarms]
question_s = {self.options.question_s}
[telemetry]
batch_interval_s = 2
[status]
heartbeat_s = 20
[uplink]
backoff_limit_s = 5
[clock]
wait_for_time_s = 0
[metrics]
port = {self.ports["gateway_metrics"]}
{gateway_devices()}"""
        _write(folder / "gateway.toml", text)
        run: Command = [*_tool("edge.cli"), "run", "--config", folder / "gateway.toml"]
        self.gateway = self.processes.start("gateway", run)
        home = [*_sim("home"), "--port", str(self.ports["home"]), "--room", "bathroom"]
        if self.options.fall_after_s is not None:
            home += ["--fall-after", str(self.options.fall_after_s)]
        if self.options.recording is not None:
            home += ["--recording", self.options.recording]
        self._home = self.processes.start("home", home, talk=True)
        threading.Thread(target=self._read_home, args=(self._home,), daemon=True).start()

    def _read_home(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                self.home_events.put(json.loads(line))
        except ValueError:
            pass  # the pipe was closed while we read: the demo ends


def _tool(module: str) -> Command:
    return [sys.executable, "-m", module]


def _sim(command: str) -> Command:
    return [*_tool("firmware_sim.cli"), command]


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code < 400
    except httpx.HTTPError:
        return False


def gateway_online(api: httpx.Client) -> bool:
    """Whether the full home's gateway has reported to the cloud."""
    homes = api.get("/api/v1/homes", params={"q": people.FULL_HOME}).raise_for_status().json()
    return any(home["id"] == people.FULL_HOME and home["online"] for home in homes)


def sign_in(system: DemoSystem) -> httpx.Client:
    """A client signed in as the operator. Raises DemoError."""
    api = httpx.Client(base_url=system.console, headers={"X-Requested-With": "anju"}, timeout=10, trust_env=False)
    answer = api.post("/api/v1/sign-in", json={"login": people.OPERATOR, "password": system.password})
    if answer.status_code != 200:
        raise DemoError(f"sign-in failed: {answer.status_code} {answer.text[:200]}")
    return api


def wait_for_gateway(system: DemoSystem, api: httpx.Client) -> None:
    """Return once the gateway is online in the console's eyes. Raises DemoError."""
    wait_until("the gateway", lambda: gateway_online(api), system.processes)
    time.sleep(0.1)
