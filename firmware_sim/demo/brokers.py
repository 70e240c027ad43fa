"""The embedded broker: nats-server from its wheel, speaking MQTT 3.1.1 on loopback."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the broker and the MQTT topic filters it may publish and subscribe to."""

    name: str
    password: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def gateway_account(gateway: str, password: str) -> Account:
    """A gateway is held to its own topics."""
    return Account(gateway, password, (f"anju/v1/{gateway}/up/#",), (f"anju/v1/{gateway}/down/#",))


def cloud_account(name: str, password: str) -> Account:
    """The cloud hears all gateways and may answer all."""
    return Account(name, password, ("anju/v1/+/down/#",), ("anju/v1/+/up/+",))


def program() -> Path:
    """The server that the wheel put beside the interpreter. Raises FileNotFoundError."""
    path = Path(sys.executable).parent / "nats-server"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: is not there; the [sim] extra brings it")
    return path


def _subject(topic: str) -> str:
    return topic.replace("/", ".").replace("+", "*").replace("#", ">")


def configuration(name: str, mqtt_port: int, port: int, store: Path, accounts: Iterable[Account]) -> str:
    """nats-server's configuration; without accounts everybody on this machine may do everything."""
    users = "\n".join(_user(account) for account in accounts)
    authorization = f"authorization {{ users = [\n{users}\n] }}\n" if users else ""
    return f"""server_name: "{name}"
listen: "127.0.0.1:{port}"
jetstream {{ store_dir: "{store}", max_mem: 64MB, max_file: 512MB }}
mqtt {{ listen: "127.0.0.1:{mqtt_port}", ack_wait: "10s", max_ack_pending: 1000 }}
max_payload: 1MB
{authorization}"""


def _user(account: Account) -> str:
    def quoted(topics: Iterable[str]) -> str:
        return ", ".join(f'"{_subject(topic)}"' for topic in topics)

    # $MQTT.> is how nats-server itself delivers QoS 1 messages to a client.
    return (
        f'  {{ user: "{account.name}", password: "{account.password}", permissions: {{ '
        f"publish: {{ allow: [{quoted(account.publish)}] }}, "
        f'subscribe: {{ allow: [{quoted(account.subscribe)}, "$MQTT.sub.>", "$MQTT.deliver.pubrel.>"] }} }} }}'
    )
