"""An authority of the test's own, its broker with TLS, access list and revocation list as deploy/ ships them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloud.enrolment import authority as ca
from edge.provisioning import credentials
from edge.provisioning.places import AUTHORITY, CERTIFICATE, KEY
from edge.provisioning.renewal import CREDENTIALS
from tests.support.mosquitto import free_port, mosquitto_program, wait_for_port

_DEPLOY = Path(__file__).parents[2] / "deploy"


def make_authority(folder: Path, now: float) -> ca.Authority:
    """An authority in `folder`/ca, and key and certificate of a broker at localhost in `folder`/tls."""
    made = ca.create(folder / "ca", "test authority", 1, now)
    key, certificate = made.issue_broker(["localhost", "127.0.0.1"], 2, now, 30)
    tls = folder / "tls"
    tls.mkdir()
    (tls / "broker.key").write_text(key)
    (tls / "broker.crt").write_text(certificate)
    return made


def provisioned(data: Path, authority: ca.Authority, gateway: str, now: float) -> str:
    """A gateway's key and certificate in its data folder, as `anju-gateway provision` leaves them; the lines of
    [cloud_broker] that name them, and a section [provisioning].
    """
    made = credentials.new_key()
    certificate = authority.issue(ca.read_request(made.request), gateway, 3, now, 30)
    place = credentials.store(data / CREDENTIALS, made, certificate, authority.pem)
    files = {"ca_file": AUTHORITY, "cert_file": CERTIFICATE, "key_file": KEY}
    lines = [f'{name} = "{place / file}"' for name, file in files.items()]
    return "\n".join([*lines, "[provisioning]", 'url = "https://localhost"', ""])


@contextmanager
def shipped_broker(folder: Path) -> Iterator[tuple[int, int]]:
    """Mosquitto with deploy/mosquitto.conf, its paths and ports changed; yields the ports (TLS, workers')."""
    tls_port, plain_port = free_port(), free_port()
    text = (_DEPLOY / "mosquitto.conf").read_text()
    for shipped, ours in (
        ("/etc/anju/tls/ca.crt", str(folder / "ca" / ca.CERTIFICATE)),
        ("/etc/anju/tls/crl.pem", str(folder / "ca" / ca.REVOKED)),
        ("/etc/anju/tls/broker.", f"{folder}/tls/broker."),
        ("/etc/anju/mosquitto.acl", str(_DEPLOY / "mosquitto.acl")),
        ("listener 8883", f"listener {tls_port} 127.0.0.1"),
        ("listener 1883", f"listener {plain_port}"),
        ("/var/lib/mosquitto/", f"{folder}/"),
    ):
        if shipped not in text:
            raise ValueError(f"deploy/mosquitto.conf has no {shipped}")
        text = text.replace(shipped, ours)
    (folder / "mosquitto.conf").write_text(f"{text}\nuser root\n")
    with (folder / "mosquitto.log").open("ab") as log:
        broker = subprocess.Popen([mosquitto_program(), "-c", str(folder / "mosquitto.conf")], stdout=log, stderr=log)
    try:
        wait_for_port(tls_port)
        wait_for_port(plain_port)
        yield tls_port, plain_port
    finally:
        broker.terminate()
        broker.wait(10)
