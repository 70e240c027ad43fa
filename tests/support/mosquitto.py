"""A Mosquitto of the test's own, on a free loopback port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from firmware_sim.demo.processes import free_port as free_port


def wait_for_port(port: int, timeout_s: float = 60.0) -> None:
    """Return once something listens on `port`; raises TimeoutError."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port} after {timeout_s} s")


def mosquitto_program() -> str:
    """Where the broker is; Debian keeps it off ordinary users' PATH."""
    return shutil.which("mosquitto") or "/usr/sbin/mosquitto"


@contextmanager
def configured_mosquitto(folder: Path, text: str, **environment: str) -> Iterator[int]:
    """A broker with a configuration of the test's own, `{port}` in it being the port that is yielded."""
    port = free_port()
    path = folder / f"broker-{port}.conf"
    path.write_text("user root\n" + text.replace("{port}", str(port)))
    process = subprocess.Popen(
        [mosquitto_program(), "-c", str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | environment,
    )
    try:
        wait_for_port(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def mosquitto() -> Iterator[int]:
    """Run a broker and yield its port; it is stopped by its own process id."""
    with mosquitto_process() as (port, _):
        yield port


@contextmanager
def mosquitto_process() -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """As `mosquitto`, with its process."""
    port = free_port()
    process = subprocess.Popen(
        [mosquitto_program(), "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for_port(port)
        yield port, process
    finally:
        process.terminate()
        process.wait(10)
