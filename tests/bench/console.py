"""An operator's console as a benchmark sees it: signed in, following the stream, noting when incidents appear."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx

from tests.bench.rig import Rig
from tests.support.mosquitto import wait_for_port

_PASSWORD = "only-for-the-bench"


class Console:
    """Follows the event stream in a thread until `stop`."""

    def __init__(self, bench: Rig) -> None:
        self.seen: dict[str, list[float]] = {}
        self._stopped = threading.Event()
        self._url = f"http://127.0.0.1:{bench.api_port}"
        adding = [sys.executable, "-m", "cloud.cli", "user", "add", "--config", str(bench.folder / "cloud.toml")]
        adding += ["--id", "u-bench", "--login", "bench", "--name", "Bench", "--role", "operator"]
        subprocess.run(adding, input=_PASSWORD, text=True, check=True, stdout=subprocess.DEVNULL)
        wait_for_port(bench.api_port, 30)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        with httpx.Client(
            base_url=self._url, headers={"X-Requested-With": "anju"}, trust_env=False, timeout=30
        ) as http:
            http.post("/api/v1/sign-in", json={"login": "bench", "password": _PASSWORD}).raise_for_status()
            with http.stream("GET", "/api/v1/events") as answer:
                for line in answer.iter_lines():
                    if self._stopped.is_set():
                        return
                    if line.startswith("data: {") and '"incident"' in line:
                        event = json.loads(line[6:])
                        if event["kind"] in ("opened", "alarm_attached") and event["incident"]["class"] == "life":
                            self.seen.setdefault(event["incident"]["home"]["id"], []).append(time.time())

    def latencies_ms(self, log: Path) -> tuple[list[float], int]:
        """From each alarm in a fleet's log to the stream, in order; and how many never appeared."""
        pressed: dict[str, list[float]] = {}
        for line in log.read_text().splitlines():
            home, _, at = line.partition(" ")
            pressed.setdefault(home, []).append(float(at))
        found: list[float] = []
        lost = 0
        for home, times in pressed.items():
            seen = self.seen.get(home, [])
            lost += max(0, len(times) - len(seen))
            found += [(b - a) * 1000 for a, b in zip(times, seen, strict=False)]
        return sorted(found), lost

    def stop(self) -> None:
        """Leave at the next ping."""
        self._stopped.set()
        self._thread.join(10)


def percentile(ordered: list[float], percent: int) -> float:
    """A percentile of sorted values; 0 if there are none."""
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0
