"""The uplink over TLS, to a broker that asks for the gateway's certificate."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from protocols.wire import StatusKind, decode_status
from tests.support.mosquitto import free_port, mosquitto, mosquitto_program, wait_for_port


def _certificates(folder: Path) -> None:
    """A CA, and certificates of broker and gateway signed by it."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, cwd=folder, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=test-ca", "-keyout", "ca.key", "-out", "ca.crt")
    for name, subject in (("broker", "localhost"), ("gateway", "gw-1")):
        openssl("req", *key, "-subj", f"/CN={subject}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (folder / f"{name}.ext").write_text(f"subjectAltName=DNS:{subject}\n")
        sign = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext")
        openssl("x509", "-req", "-in", f"{name}.csr", *sign, "-out", f"{name}.crt")


def test_certificate_is_the_identity(tmp_path: Path) -> None:
    """With its certificate the gateway reports its birth, its user name being the certificate's common name."""
    _certificates(tmp_path)
    port, plain = free_port(), free_port()
    (tmp_path / "broker.conf").write_text(
        f"per_listener_settings true\nuser root\n"
        f"listener {plain} 127.0.0.1\nallow_anonymous true\n"
        f"listener {port} 127.0.0.1\ncafile {tmp_path}/ca.crt\ncertfile {tmp_path}/broker.crt\n"
        f"keyfile {tmp_path}/broker.key\nrequire_certificate true\nuse_identity_as_username true\n"
    )
    broker = subprocess.Popen([mosquitto_program(), "-c", str(tmp_path / "broker.conf")], stderr=subprocess.DEVNULL)
    try:
        wait_for_port(plain)
        got: queue.Queue[bytes] = queue.Queue()
        listener = mqtt.Client(CallbackAPIVersion.VERSION2)
        listener.on_message = lambda _client, _data, message: got.put(bytes(message.payload))
        listener.connect("127.0.0.1", plain)
        listener.subscribe("anju/v1/gw-1/up/status", 1)
        listener.loop_start()
        with mosquitto() as home:
            (tmp_path / "gateway.toml").write_text(
                f'[gateway]\nid = "gw-1"\ndata_dir = "{tmp_path}/data"\n[home_broker]\nport = {home}\n'
                f'[cloud_broker]\nhost = "localhost"\nport = {port}\nca_file = "{tmp_path}/ca.crt"\n'
                f'cert_file = "{tmp_path}/gateway.crt"\nkey_file = "{tmp_path}/gateway.key"\n[metrics]\nport = 0\n'
            )
            command = [sys.executable, "-m", "edge.cli", "run", "--config", str(tmp_path / "gateway.toml")]
            gateway = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            assert decode_status(got.get(timeout=30)).kind is StatusKind.BIRTH
            gateway.send_signal(signal.SIGTERM)
            assert gateway.wait(10) == 0
        listener.disconnect()
        listener.loop_stop()
    finally:
        broker.terminate()
        broker.wait(10)
