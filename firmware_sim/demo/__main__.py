"""`python -m firmware_sim.demo`: start everything, print where to look, stop on Ctrl-C. See scripts/demo --help."""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from firmware_sim.demo import registry as people
from firmware_sim.demo.processes import DemoError, Processes, is_free
from firmware_sim.demo.story import play_once
from firmware_sim.demo.system import DemoOptions, DemoSystem, sign_in, wait_for_gateway
from firmware_sim.recordings import RecordingError, load_trial, parse_trial

DATA = Path("demo-data")
_FIRST_PORT, _PORTS = 8080, 20
_ONCE_QUESTION_S, _LIVE_QUESTION_S = 8.0, 20.0
_FALL_AFTER_S = 120.0


class StopDemo(Exception):  # noqa: N818 - not an error
    """SIGTERM or Ctrl-C."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Run all of Anju on this machine.")
    parser.add_argument("--once", action="store_true", help="play the story without a person and measure it")
    parser.add_argument("--recording", metavar="FILE:TRIAL", help="with --once: the fall is this trial of a recording")
    parser.add_argument(
        "--influxdb", action="store_true", help="keep the time series in a real InfluxDB (ANJU_INFLUXD)"
    )
    parser.add_argument("--port", type=int, help="port of the console (default: 8080, or the next free one)")
    options = parser.parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _on_signal)
    try:
        return _run(options)
    except StopDemo:
        return 0
    except (DemoError, RecordingError, OSError) as error:
        print(f"anju: {error}", file=sys.stderr)
        return 1


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    raise StopDemo


def _run(options: argparse.Namespace) -> int:
    began = time.monotonic()
    demo = DemoOptions(folder=(DATA / ("once" if options.once else "live")).resolve(), port=_port(options.port))
    if options.recording is not None:
        load_trial(*parse_trial(options.recording))
        file, name = parse_trial(options.recording)
        demo.recording = f"{file.resolve()}:{name}"
    if options.influxdb:
        demo.influxd = Path(os.environ.get("ANJU_INFLUXD", ""))
        if not demo.influxd.is_file():
            raise DemoError("--influxdb: ANJU_INFLUXD names no program; scripts/demo sets it")
    demo.question_s = _ONCE_QUESTION_S if options.once else _LIVE_QUESTION_S
    demo.fall_after_s = None if options.once else _FALL_AFTER_S
    _lock()
    if options.once:
        shutil.rmtree(demo.folder, ignore_errors=True)
    system = DemoSystem(demo, Processes(demo.folder / "logs"))
    try:
        _say("starting two brokers, the cloud, a gateway with its home, 50 light homes and the phones …")
        system.start()
        _say(f"everything runs after {time.monotonic() - began:.1f} s")
        if options.once:
            return play_once(system, _say)
        _live(system)
        return 0
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        system.processes.stop()
        (DATA / "demo.pid").unlink(missing_ok=True)
        _say(f"stopped; data and logs are in {demo.folder.relative_to(Path.cwd())}/")


def _port(wanted: int | None) -> int:
    if wanted is not None:
        if not is_free(wanted):
            raise DemoError(f"port {wanted} is taken; choose another with --port")
        return wanted
    for port in range(_FIRST_PORT, _FIRST_PORT + _PORTS):
        if is_free(port):
            return port
    raise DemoError(f"ports {_FIRST_PORT} to {_FIRST_PORT + _PORTS - 1} are all taken; choose another with --port")


def _lock() -> None:
    DATA.mkdir(exist_ok=True)
    pid = DATA / "demo.pid"
    try:
        other = int(pid.read_text())
        os.kill(other, 0)
    except (OSError, ValueError):
        pid.write_text(str(os.getpid()))
        return
    if other != os.getpid():
        raise DemoError(f"a demo is running already (process {other}); stop it with Ctrl-C there")


def _live(system: DemoSystem) -> None:
    """Print where to look, then what happens in the home, until stopped."""
    api = sign_in(system)
    wait_for_gateway(system, api)
    print(
        f"""
  安居 Anju is running.

  console   {system.console}/          login {people.OPERATOR}   password {system.password}
  phones    {system.phones}/          what family and responders get; answer there

  Try: sign in and press “开始值班” (start shift, for sound). In two minutes 林虚构 falls in the bathroom;
  the home asks her, nobody answers, and the incident arrives. Claim it (接警), look at signal, vitals and map,
  dispatch (派遣) the nurse 周模拟, answer on her phone with 1 and then 3, and close it (结案).
  Type here:  fall   sos   cancel   help        Ctrl-C stops everything.
""",
        flush=True,
    )
    _read_keyboard(system)
    while True:
        system.processes.check()
        try:
            event = system.home_events.get(timeout=0.5)
        except queue.Empty:
            continue
        clock = time.strftime("%H:%M:%S")
        if event["event"] == "said":
            _say(f"{clock}  the home says: {event['text']}")
        elif event["event"] == "fall":
            _say(f"{clock}  林虚构 falls ({event['room']}, {event['signal']} signal)")
        else:
            _say(f"{clock}  {event}")


def _read_keyboard(system: DemoSystem) -> None:
    def read() -> None:
        for line in sys.stdin:
            if line.strip():
                system.order(line.strip())

    if sys.stdin is not None and sys.stdin.readable():
        threading.Thread(target=read, daemon=True).start()


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
