"""From a token to a gateway on the district's broker, and out again: the real programs, Mosquitto with TLS."""

from __future__ import annotations

import json
import queue
import signal
import ssl
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from firmware_sim.demo.registry import make_registry
from protocols.wire import StatusKind, decode_status
from tests.support.authority import shipped_broker
from tests.support.district import HOME, PASSWORD
from tests.support.mosquitto import free_port, mosquitto, wait_for_port

GATEWAYS = ("gw-one", "gw-two")


class District:
    """A cloud with an authority, its API running, and a folder for each provisioned gateway."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.api_port = free_port()
        (folder / "cloud.toml").write_text(
            f'[database]\nurl = "sqlite+aiosqlite:///{folder}/anju.db"\n[timeseries]\n'
            f'sqlite_path = "{folder}/series.db"\n[api]\nport = {self.api_port}\nsecure_cookie = false\n'
            f'[metrics]\nport = 0\n[enrolment]\nca_dir = "{folder}/ca"\nbroker_host = "localhost"\n'
        )
        (folder / "registry.json").write_text(json.dumps(make_registry(1, PASSWORD)))
        self.cloud("migrate")
        self.cloud("registry", "import", str(folder / "registry.json"))
        self.cloud("ca", "init", "--name", "test district")
        self.cloud("ca", "broker", "--host", "localhost", "--output", str(folder / "tls"))

    def cloud(self, *arguments: str, fails: bool = False) -> str:
        """Run anju-cloud to its end; returns what it printed."""
        command = [sys.executable, "-m", "cloud.cli", *arguments, "--config", str(self.folder / "cloud.toml")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode != 0) is fails, done.stderr
        return done.stdout + (done.stderr if fails else "")

    @contextmanager
    def api(self) -> Iterator[None]:
        """The API as a process."""
        command = [sys.executable, "-m", "cloud.cli", "run", "api", "--config", str(self.folder / "cloud.toml")]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            wait_for_port(self.api_port)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(15)

    def provision(self, gateway: str, token: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Run anju-gateway provision."""
        place = self.folder / gateway
        command = [sys.executable, "-m", "edge.cli", "provision", "--url", f"http://127.0.0.1:{self.api_port}"]
        command += ["--token", token, "--data-dir", str(place / "data"), "--config", str(place / "gateway.toml")]
        command += more
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def credentials(self, gateway: str) -> Path:
        """Where its key and certificates are."""
        return self.folder / gateway / "data" / "credentials" / "current"


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory) -> Iterator[District]:
    """Two gateways have been added, and provisioned with their tokens."""
    made = District(tmp_path_factory.mktemp("district"))
    with made.api():
        for gateway in GATEWAYS:
            token = made.cloud("gateway", "add", gateway, "--home", HOME).split()[0]
            done = made.provision(gateway, token, "--ca", str(made.folder / "ca" / "ca.crt"))
            assert done.returncode == 0, done.stderr
            again = made.provision(f"{gateway}-stolen", token)
            assert again.returncode == 1
            assert "token_used" in again.stderr
        yield made


class Client:
    """An MQTT client with a gateway's certificate."""

    def __init__(self, port: int, credentials: Path | None, ca: Path, name: str = "") -> None:
        self.messages: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
        self.subscribed: queue.Queue[None] = queue.Queue()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name)
        self.client.on_message = lambda _client, _data, message: self.messages.put(message)
        self.client.on_subscribe = lambda *_: self.subscribed.put(None)
        certificate, key = (
            (str(credentials / "gateway.crt"), str(credentials / "gateway.key")) if credentials else (None, None)
        )
        self.client.tls_set(str(ca), certificate, key)
        self.client.connect("localhost", port)
        self.client.loop_start()
        end = time.monotonic() + 10
        while not self.client.is_connected():
            if time.monotonic() > end:
                self.close()
                raise ConnectionError("the broker does not let this client in")
            time.sleep(0.02)

    def subscribe(self, topic: str) -> None:
        """Ask for a topic, and wait for the broker's answer, whatever it is."""
        self.client.subscribe(topic, 1)
        self.subscribed.get(timeout=10)

    def close(self) -> None:
        """Leave."""
        self.client.disconnect()
        self.client.loop_stop()


def test_what_provisioning_leaves(district: District) -> None:
    """A key for its owner only, a certificate, the district's authority, and a configuration that is good."""
    place = district.credentials(GATEWAYS[0])
    assert (place / "gateway.key").stat().st_mode & 0o777 == 0o600
    assert (place / "ca.crt").read_text() == (district.folder / "ca" / "ca.crt").read_text()
    config = district.folder / GATEWAYS[0] / "gateway.toml"
    kept = Path(tomllib.loads(config.read_text())["provisioning"]["ca_file"])
    assert kept.parent == place.parent  # where the service may read it, wherever the file was that was named
    assert kept.read_bytes() == (district.folder / "ca" / "ca.crt").read_bytes()
    command = [sys.executable, "-m", "edge.cli", "check-config", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (place.parent / "pending.key").exists()


def test_bad_requests_get_a_clear_answer(district: District) -> None:
    """A wrong token, a body that is none, and a plain address elsewhere are refused with what is wrong."""
    wrong = district.provision("gw-wrong", "a-token-nobody-gave")
    assert wrong.returncode == 1
    assert "token_unknown" in wrong.stderr
    assert not (district.folder / "gw-wrong" / "gateway.toml").exists()
    address = f"http://127.0.0.1:{district.api_port}/api/v1/enrolment"
    answer = httpx.post(address, json={"token": "x" * 20}, headers={"X-Requested-With": "anju"}, trust_env=False)
    assert answer.status_code == 422
    assert "csr" in answer.json()["detail"]
    command = [sys.executable, "-m", "edge.cli", "provision", "--url", "http://anju.example", "--token", "x"]
    plain = subprocess.run(
        [*command, "--data-dir", str(district.folder / "plain")], capture_output=True, text=True, check=False
    )
    assert plain.returncode == 1
    assert "https" in plain.stderr


def test_a_gateway_has_its_own_topics_only(district: District) -> None:
    """It writes its own `up` and reads its own `down`; every attempt to cross reaches nobody."""
    mine, other = GATEWAYS
    ca = district.folder / "ca" / "ca.crt"
    with shipped_broker(district.folder) as (tls, plain):
        worker_got: queue.Queue[str] = queue.Queue()
        worker = mqtt.Client(CallbackAPIVersion.VERSION2)
        worker.on_message = lambda _client, _data, message: worker_got.put(message.topic)
        worker.connect("127.0.0.1", plain)
        worker.subscribe("#", 1)
        worker.loop_start()
        client = Client(tls, district.credentials(mine), ca)
        rival = Client(tls, district.credentials(other), ca)
        try:
            for topic in (f"anju/v1/{other}/down/+", "anju/v1/+/up/#", "#", f"anju/v1/{mine}/down/+"):
                client.subscribe(topic)
            rival.client.publish(f"anju/v1/{other}/up/status", b"{}", 1)
            worker.publish(f"anju/v1/{other}/down/ack", b"theirs", 1)
            worker.publish(f"anju/v1/{mine}/down/ack", b"mine", 1)
            assert client.messages.get(timeout=10).payload == b"mine"
            assert client.messages.empty()
            for topic in (
                f"anju/v1/{other}/up/alarm",
                f"anju/v1/{other}/down/command",
                f"anju/v1/{mine}/down/command",
                "anju/v1/up/telemetry",
                f"anju/v1/{mine}/up/telemetry",  # the one it may; this broker hangs up on each of the others
            ):
                client.client.publish(topic, b"{}", 1)
            seen = [worker_got.get(timeout=20) for _ in range(4)]
            assert seen[-1] == f"anju/v1/{mine}/up/telemetry"
            assert sorted(seen[:-1]) == sorted(
                [f"anju/v1/{other}/up/status", f"anju/v1/{other}/down/ack", f"anju/v1/{mine}/down/ack"]
            )
            assert worker_got.empty()
        finally:
            for one in (client, rival):
                one.close()
            worker.disconnect()
            worker.loop_stop()
        with pytest.raises((ssl.SSLError, ConnectionError, OSError)):
            Client(tls, None, ca).close()


def test_daemon_connects_and_revocation_shuts_it_out(district: District) -> None:
    """The provisioned daemon reports its birth under its own name; once revoked, the broker refuses its certificate,
    and the other gateway goes on.
    """
    mine, other = GATEWAYS
    ca = district.folder / "ca" / "ca.crt"
    with shipped_broker(district.folder) as (tls, plain), mosquitto() as home:
        config = district.folder / mine / "gateway.toml"
        text = config.read_text().replace("port = 8883", f"port = {tls}")
        running = district.folder / mine / "running.toml"
        running.write_text(f"{text}\n[home_broker]\nport = {home}\n[metrics]\nport = 0\n")
        got: queue.Queue[bytes] = queue.Queue()
        worker = mqtt.Client(CallbackAPIVersion.VERSION2)
        worker.on_message = lambda _client, _data, message: got.put(bytes(message.payload))
        worker.connect("127.0.0.1", plain)
        worker.subscribe(f"anju/v1/{mine}/up/status", 1)
        worker.loop_start()
        command = [sys.executable, "-m", "edge.cli", "run", "--config", str(running)]
        gateway = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            assert decode_status(got.get(timeout=30)).kind is StatusKind.BIRTH
        finally:
            gateway.send_signal(signal.SIGTERM)
            assert gateway.wait(10) == 0
            worker.disconnect()
            worker.loop_stop()
    assert "1 certificate" in district.cloud("gateway", "revoke", mine)
    with shipped_broker(district.folder) as (tls, _plain):
        with pytest.raises((ssl.SSLError, ConnectionError, OSError)):
            Client(tls, district.credentials(mine), ca).close()
        Client(tls, district.credentials(other), ca).close()
    assert f"{mine}" in district.cloud("gateway", "list")
    district.cloud("gateway", "revoke", "gw-none", fails=True)
