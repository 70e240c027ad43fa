"""What fault runs have in common: their options, the press of a button in each round, the report."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as mqtt

from firmware_sim.devices import pack
from tests.support.ending import end_on_sigterm

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def options(name: str, description: str) -> argparse.ArgumentParser:
    """The options of `scripts/faults NAME`; from now on SIGTERM ends the run in order."""
    end_on_sigterm()
    parser = argparse.ArgumentParser(prog=f"scripts/faults {name}", description=description)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="round i uses seed + i")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here")
    return parser


def finish(report: DataclassInstance, path: Path | None) -> int:
    """Print and write the report; the exit code, 1 if anything was lost or doubled or a round failed."""
    found: dict[str, Any] = asdict(report)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    print(text)
    if path is not None:
        path.write_text(text + "\n", encoding="utf-8")
    return 1 if found["lost"] or found["doubled"] or found["failed_seeds"] else 0


def press(devices: mqtt.Client, device: str, at: float) -> list[mqtt.MQTTMessageInfo]:
    """The button goes down and up again."""
    said = ((at, True), (at + 0.01, False))
    return [devices.publish(*pack(device, when, sos=down), qos=1) for when, down in said]
