"""A broker that says no: every reason told apart from a lost link, with words, and without hammering the broker."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from edge import cli
from edge.config import CloudBroker
from edge.uplink.connection import ADVICE, Cause, LinkLostError, LinkRefusedError, linked, subscribe
from tests.support.chain import wait_for
from tests.support.gateway import home_and_cloud
from tests.support.mosquitto import configured_mosquitto, free_port

_ID = "gw-1"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two authorities, each with a certificate of a broker at localhost and one of the gateway."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, cwd=folder, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for ca in ("ours", "theirs"):
        openssl("req", "-x509", *key, "-days", "2", "-subj", f"/CN={ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.crt")
        for role, name in (("broker", "localhost"), ("gateway", _ID)):
            here = f"{ca}-{role}"
            openssl("req", *key, "-subj", f"/CN={name}", "-keyout", f"{here}.key", "-out", f"{here}.csr")
            (folder / f"{here}.ext").write_text(f"subjectAltName=DNS:{name}\n")
            sign = ("-CA", f"{ca}.crt", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days", "2", "-extfile")
            openssl("x509", "-req", "-in", f"{here}.csr", *sign, f"{here}.ext", "-out", f"{here}.crt")
    return folder


def _asks_for_certificates(tls: Path, more: str = "") -> str:
    return (
        f"listener {{port}} 127.0.0.1\ncafile {tls}/ours.crt\ncertfile {tls}/ours-broker.crt\n"
        f"keyfile {tls}/ours-broker.key\nrequire_certificate true\nuse_identity_as_username true\n{more}"
    )


def _ours(tls: Path, port: int, ca: str = "ours", cert: str | None = "ours", **more: object) -> CloudBroker:
    files = {} if cert is None else {"cert_file": tls / f"{cert}-gateway.crt", "key_file": tls / f"{cert}-gateway.key"}
    return CloudBroker.model_validate(
        {"host": "localhost", "port": port, "ca_file": tls / f"{ca}.crt", **files, **more}
    )


async def _try(broker: CloudBroker, topic: str = f"anju/v1/{_ID}/down/ack", password: str | None = None) -> None:
    options = {"identifier": _ID, "username": _ID, "password": password, "timeout": 10.0}
    async with linked(broker, None, **options) as client:
        await subscribe(client, [(topic, 1)], 10.0)


async def _refusal(broker: CloudBroker, password: str | None = None) -> Cause:
    with pytest.raises(LinkRefusedError) as error:
        await _try(broker, password=password)
    assert str(error.value)
    return error.value.cause


async def test_certificates(tls: Path, tmp_path: Path) -> None:
    """Ours of a foreign authority, ours missing, ours unreadable, theirs of an authority we do not trust."""
    with configured_mosquitto(tmp_path, _asks_for_certificates(tls)) as port:
        await _try(_ours(tls, port))
        assert await _refusal(_ours(tls, port, cert="theirs")) is Cause.OUR_CERTIFICATE
        assert await _refusal(_ours(tls, port, cert=None)) is Cause.OUR_CERTIFICATE
        assert await _refusal(_ours(tls, port, cert="none")) is Cause.OUR_CERTIFICATE
        assert await _refusal(_ours(tls, port, ca="theirs")) is Cause.BROKER_CERTIFICATE
        wrong_name = _ours(tls, port).model_copy(update={"host": "127.0.0.1"})
        assert await _refusal(wrong_name) is Cause.BROKER_CERTIFICATE


async def test_tls_1_2_only_where_configured(tls: Path, tmp_path: Path) -> None:
    """A broker that knows no TLS 1.3 is refused, with words of its own; `tls_min` lets it in, verified as ever."""
    (old := tmp_path / "openssl.cnf").write_text(
        "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMaxProtocol = TLSv1.2\n"
    )
    with configured_mosquitto(tmp_path, _asks_for_certificates(tls), OPENSSL_CONF=str(old)) as port:
        assert await _refusal(_ours(tls, port)) is Cause.TLS_VERSION
        await _try(_ours(tls, port, tls_min="1.2"))
        assert await _refusal(_ours(tls, port, ca="theirs", tls_min="1.2")) is Cause.BROKER_CERTIFICATE


@pytest.fixture
def guarded(tmp_path: Path) -> str:
    """Configuration of a broker that knows gw-1 by its password, and lets it read nothing."""
    (plugin,) = Path("/usr/lib").glob("*/mosquitto_dynamic_security.so")
    clients = tmp_path / "clients.json"
    subprocess.run(["mosquitto_ctrl", "dynsec", "init", str(clients), _ID, "right"], check=True, capture_output=True)
    known = json.loads(clients.read_text())
    known["defaultACLAccess"]["subscribe"] = False
    known["roles"] = [role | {"acls": []} for role in known["roles"]]
    clients.write_text(json.dumps(known))
    return (
        f"per_listener_settings false\nlistener {{port}} 127.0.0.1\nallow_anonymous false\n"
        f"plugin {plugin}\nplugin_opt_config_file {clients}\n"
    )


async def test_password_access_list_and_a_lost_link(guarded: str, tmp_path: Path) -> None:
    """A wrong password, a topic the access list denies, and nobody there are three things."""
    with configured_mosquitto(tmp_path, guarded) as port:
        broker = CloudBroker(host="127.0.0.1", port=port, tls=False)
        assert await _refusal(broker, "wrong") in (Cause.NOT_AUTHORISED, Cause.BAD_CREDENTIALS)
        assert await _refusal(broker, "right") is Cause.SUBSCRIPTION
    with pytest.raises(LinkLostError) as lost:
        await _try(CloudBroker(host="127.0.0.1", port=free_port(), tls=False))
    assert (lost.value.cause, isinstance(lost.value, LinkRefusedError)) == (Cause.LOST, False)


def test_the_daemon_says_what_to_do_and_waits(guarded: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Refused for good, the daemon goes on at home, hardly asks the broker, burns nothing, and its status says why."""
    with (
        configured_mosquitto(tmp_path, guarded) as refusing,
        home_and_cloud(tmp_path, more="[uplink]\nrefused_first_s = 300\n", through=lambda _: refusing) as (gateway, _),
    ):
        gateway.start()
        trouble = wait_for("trouble", lambda: gateway.status()["uplink"]["trouble"])
        before = gateway.status()
        gateway.press_sos()
        wait_for("alarm in the spool", lambda: gateway.status()["spool"]["depth"].get("alarm"))
        assert cli.main(["status", "--config", str(gateway.path)]) == 0
        said = capsys.readouterr().out
        after = gateway.status()
    assert trouble in (Cause.NOT_AUTHORISED, Cause.BAD_CREDENTIALS)
    assert ADVICE[Cause(trouble)] in said
    assert after["uplink"]["events"]["refused"] - before["uplink"]["events"]["refused"] <= 1
    assert "lost" not in after["uplink"]["events"]


def test_every_cause_has_its_advice() -> None:
    """Whatever ends a link, the status says what to do."""
    assert set(ADVICE) == set(Cause)
