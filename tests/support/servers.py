"""Real servers for tests, started on free loopback ports in temporary folders and stopped by their process ids."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg

from tests.support.mosquitto import free_port, wait_for_port

_DEPLOY = Path(__file__).parents[2] / "deploy"
_SHIPPED = _DEPLOY / "influxdb.conf"
_SHIPPED_UNIT = _DEPLOY / "systemd" / "influxdb-anju.conf"


def _server_user() -> str | None:
    """PostgreSQL refuses to run as root; its package brings a user."""
    return "postgres" if os.geteuid() == 0 else None


@contextmanager
def postgres(folder: Path) -> Iterator[int]:
    """Run a PostgreSQL whose superuser is `anju`; yields its port."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    user = _server_user()
    data = folder / "postgres"
    data.mkdir()
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(data, entry.pw_uid, entry.pw_gid)
        for parent in data.parents[:4]:
            if str(parent).startswith("/tmp/") or "pytest" in parent.name:
                parent.chmod(0o755)
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    initdb = [programs / "initdb", "-D", data, "-U", "anju", "--auth=trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(initdb, check=True, user=user, cwd="/", **silent)  # type: ignore[call-overload]
    port = free_port()
    command = [str(programs / "postgres"), "-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1"]
    command += ["-c", f"unix_socket_directories={data}", "-c", "fsync=off"]
    process = subprocess.Popen(command, user=user, cwd="/", **silent)  # type: ignore[call-overload]
    try:
        wait_for_port(port)
        _wait_for_postgres(port)
        yield port
    finally:
        # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for clients that an error has left behind.
        process.send_signal(signal.SIGINT)
        process.wait(20)


def _wait_for_postgres(port: int) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(host="127.0.0.1", port=port, user="anju", dbname="postgres").close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def create_database(port: int, name: str) -> str:
    """Create an empty database; returns its SQLAlchemy URL."""
    with psycopg.connect(host="127.0.0.1", port=port, user="anju", dbname="postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"postgresql+psycopg://anju@127.0.0.1:{port}/{name}"


def influxd_program() -> Path:
    """The InfluxDB that scripts/test has found or built."""
    found = os.environ.get("ANJU_INFLUXD") or shutil.which("influxd") or ""
    path = Path(found)
    if not path.is_file():
        raise FileNotFoundError("ANJU_INFLUXD names no program; run the tests by scripts/test")
    return path


class InfluxServer:
    """An InfluxDB 1.8 as we ship its configuration; it can be stopped and started again on the same port and data."""

    def __init__(self, folder: Path, *, auth: bool = False) -> None:
        self.port = free_port()
        self.rpc_port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        text = _SHIPPED.read_text().replace("/var/lib/influxdb", str(folder))
        for shipped, ours in (
            ("127.0.0.1:8086", f"127.0.0.1:{self.port}"),
            ("127.0.0.1:8088", f"127.0.0.1:{self.rpc_port}"),
            ("auth-enabled = true", f"auth-enabled = {str(auth).lower()}"),
        ):
            if shipped not in text:
                raise ValueError(f"{_SHIPPED} has no {shipped}")
            text = text.replace(shipped, ours)
        (folder / "influxdb.conf").write_text(text)

    @property
    def pid(self) -> int:
        """Process id; 0 while it does not run."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Start and return once it answers."""
        settings = dict(
            line.split("=", 1) for line in _SHIPPED_UNIT.read_text().splitlines() if "=" in line and line[0] != "#"
        )
        name, _, value = settings["Environment"].partition("=")
        command = [
            "nice",
            "-n",
            settings["Nice"],
            str(influxd_program()),
            "-config",
            str(self._folder / "influxdb.conf"),
        ]
        silent = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=silent, stderr=silent, env=os.environ | {name: value})
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                if httpx.get(f"{self.url}/ping", trust_env=False).status_code == 204:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise TimeoutError("InfluxDB does not answer")

    def stop(self) -> None:
        """Stop; nothing happens if it does not run."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None


class Influx2Server:
    """An InfluxDB 2.7 with the organisation `anju` and the token `test-token`."""

    def __init__(self, folder: Path, program: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [program, "--bolt-path", str(folder / "bolt"), "--engine-path", str(folder / "engine")]
        command += ["--sqlite-path", str(folder / "sqlite"), "--http-bind-address", f"127.0.0.1:{self.port}"]
        command += ["--reporting-disabled", "--log-level", "error"]
        silent = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=silent, stderr=silent, env={**os.environ, "HOME": str(folder)})
        wait_for_port(self.port)
        body = {"username": "admin", "password": "only-for-tests", "org": "anju", "bucket": "first"}
        self._set_up(body | {"token": "test-token"})

    def _set_up(self, body: dict[str, str]) -> None:
        end = time.monotonic() + 60
        while True:
            try:
                answer = httpx.post(f"{self.url}/api/v2/setup", json=body, trust_env=False, timeout=10)
                answer.raise_for_status()
                return
            except httpx.HTTPError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def stop(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(20)


@contextmanager
def influxdb2(folder: Path) -> Iterator[Influx2Server | None]:
    """Run an InfluxDB 2.7; None where scripts/get-influxdb --v2 has not built one."""
    program = os.environ.get("ANJU_INFLUXD2", "")
    if not Path(program).is_file():
        yield None
        return
    server = Influx2Server(folder, program)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def influxdb(folder: Path) -> Iterator[InfluxServer]:
    """Run an InfluxDB."""
    folder.mkdir(exist_ok=True)
    server = InfluxServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
