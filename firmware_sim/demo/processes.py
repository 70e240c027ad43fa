"""Child processes of a demo: started with a log each, watched, and stopped by their own ids in reverse order."""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_STOP_S = 8.0
_PORTS = (20_000, 32_768)


class DemoError(Exception):
    """The demo cannot go on; the message says why and where to look."""


@dataclass(slots=True)
class Processes:
    """Everything this demo has started."""

    logs: Path
    running: list[tuple[str, subprocess.Popen[str]]] = field(default_factory=list)

    def start(self, name: str, command: Sequence[str | Path], *, talk: bool = False) -> subprocess.Popen[str]:
        """Start one; with `talk` its standard input and output are pipes."""
        self.logs.mkdir(parents=True, exist_ok=True)
        pipe = subprocess.PIPE if talk else None
        with (self.logs / f"{name}.log").open("a") as log:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=pipe if talk else subprocess.DEVNULL,
                stdout=pipe if talk else log,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C reaches the demo alone, which stops the others in order
            )
        self.running.append((name, process))
        return process

    def run(self, name: str, command: Sequence[str | Path]) -> None:
        """Run one to its end. Raises DemoError with the end of its output."""
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise DemoError(f"{name} failed: {(done.stderr or done.stdout).strip()[-600:]}")

    def check(self) -> None:
        """Raises DemoError if one has ended by itself."""
        for name, process in self.running:
            if process.poll() is not None:
                end = _tail(self.logs / f"{name}.log")
                raise DemoError(f"{name} ended with code {process.returncode}; {self.logs / name}.log ends:\n{end}")

    def stop(self) -> None:
        """Stop all, the last started first."""
        for _, process in reversed(self.running):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(_STOP_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
        self.running.clear()


def _tail(path: Path) -> str:
    try:
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])
    except OSError:
        return ""


def wait_until(what: str, ready: Callable[[], bool], processes: Processes, timeout_s: float = 90.0) -> None:
    """Ask again and again. Raises DemoError after `timeout_s`, or when a process ends meanwhile."""
    end = time.monotonic() + timeout_s
    while not ready():
        processes.check()
        if time.monotonic() > end:
            raise DemoError(f"{what} is not ready after {timeout_s:.0f} s; look into {processes.logs}/")
        time.sleep(0.05)


def listens(port: int) -> bool:
    """Whether somebody listens on a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_free(port: int) -> bool:
    """Whether a loopback port can be bound."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A loopback port nobody uses at this moment, outside the range from which Linux gives a client's connection its
    own (32768 to 60999): of those one may be taken before the server that is to have it has started.
    """
    while True:
        port = random.SystemRandom().randrange(*_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
