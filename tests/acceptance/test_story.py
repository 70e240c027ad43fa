"""The story from the fall to the close: on embedded parts, and on Mosquitto, InfluxDB and PostgreSQL."""

from __future__ import annotations

import subprocess
import uuid
from pathlib import Path

import httpx
import pytest

from firmware_sim.demo import registry as people
from firmware_sim.demo.processes import Processes, free_port, listens, wait_until
from firmware_sim.demo.story import Story
from firmware_sim.demo.system import CLOUD_USER, DemoOptions, DemoSystem
from tests.support.mosquitto import mosquitto_program
from tests.support.servers import InfluxServer, create_database

HOPS = {"impact → pending at the cloud", "pending → raised", "raised → console", "raised → phone"}
PHRASES = (
    "fall_question",
    "alarm_raised",
    "help_received",
    "operator_claimed",
    "nurse_on_the_way",
    "responder_arrived",
    "stood_down",
)


class ServerSystem(DemoSystem):
    """The demo's parts on Mosquitto brokers, the cloud's with passwords and an access list."""

    def _start_brokers(self) -> None:
        folder = self.options.folder
        (folder / "home-broker.conf").write_text(f"listener {self.ports['home']} 127.0.0.1\nallow_anonymous true\n")
        gateways = [people.FULL_GATEWAY, *(f"{people.PREFIX}{i:03d}" for i in range(1, self.options.light_homes + 1))]
        secret, cloud = (folder / "gateways.secret").read_text(), (folder / "cloud.secret").read_text()
        users = [f"{name}:{secret}" for name in gateways] + [f"{CLOUD_USER}:{cloud}"]
        (folder / "passwords").write_text("\n".join(users) + "\n")
        (folder / "passwords").chmod(0o600)
        subprocess.run(["mosquitto_passwd", "-U", str(folder / "passwords")], check=True)
        (folder / "acl").write_text(
            f"user {CLOUD_USER}\ntopic read anju/v1/+/up/#\ntopic write anju/v1/+/down/#\n\n"
            "pattern write anju/v1/%u/up/#\npattern read anju/v1/%u/down/#\n"
        )
        (folder / "acl").chmod(0o600)
        (folder / "cloud-broker.conf").write_text(
            f"listener {self.ports['cloud']} 127.0.0.1\nallow_anonymous false\n"
            f"password_file {folder}/passwords\nacl_file {folder}/acl\nuser root\n"
        )
        for name in ("home", "cloud"):
            config = folder / f"{name}-broker.conf"
            self.processes.start(f"{name}-broker", [mosquitto_program(), "-c", config])
        for name in ("home", "cloud"):
            wait_until(name, lambda port=self.ports[name]: listens(port), self.processes)  # type: ignore[misc]


def _play(system: DemoSystem) -> Story:
    story = Story(system, print)
    try:
        system.start()
        story.play()
        for name, metric in (("gateway", "anju_gateway"), ("cloud", "anju_cloud_events_total")):
            url = f"http://127.0.0.1:{system.ports[f'{name}_metrics']}/metrics"
            assert metric in httpx.get(url, trust_env=False).text
    finally:
        story.flush()
        story.stopped.set()
        system.processes.stop()
        story.leave()
    return story


def _options(folder: Path) -> DemoOptions:
    return DemoOptions(folder=folder, port=free_port(), question_s=3.0, light_homes=5)


@pytest.mark.xdist_group("processes")
def test_on_embedded_parts(tmp_path: Path) -> None:
    """nats-server and SQLite: every hop is observed, and the home hears how far help has come, in order."""
    story = _play(DemoSystem(_options(tmp_path), Processes(tmp_path / "logs")))
    assert _order_of(story) == sorted(_order_of(story))
    assert set(story.measured) >= HOPS
    assert all(seconds > 0 for seconds in story.measured.values())


@pytest.mark.xdist_group("processes")
def test_on_servers(tmp_path: Path, influx_server: InfluxServer, postgres_port: int) -> None:
    """Mosquitto (with its access list), InfluxDB 1.8 and PostgreSQL: the same."""
    options = _options(tmp_path)
    options.influxdb_url = influx_server.url
    options.database_url = create_database(postgres_port, f"story{uuid.uuid4().hex}")
    story = _play(ServerSystem(options, Processes(tmp_path / "logs")))
    assert _order_of(story) == sorted(_order_of(story))
    assert set(story.measured) >= HOPS
    assert all(seconds > 0 for seconds in story.measured.values())
    assert not (tmp_path / "anju.db").exists()
    assert not (tmp_path / "timeseries.db").exists()


def _order_of(story: Story) -> list[int]:
    """Where in the home's speech each phrase of the story first stands; ValueError if one was not said."""
    spoken = [phrase for _, phrase in story.said]
    return [spoken.index(phrase) for phrase in PHRASES]
