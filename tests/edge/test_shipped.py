"""The daemon in the environment of its systemd unit: without docstrings and asserts, from compiled modules."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.chain import wait_for
from tests.support.gateway import UNIT, as_shipped, home_and_cloud

_IMPORT_ALL = """
import importlib, pkgutil, sys
import edge
for found in pkgutil.walk_packages(edge.__path__, "edge."):
    if not found.name.startswith("edge.evaluate") and not found.name.endswith("__main__"):
        importlib.import_module(found.name)
for name in ("cryptography.x509", "httpx", "jinja2.sandbox"):
    importlib.import_module(name)
print(sys.flags.optimize)
"""

_FALL = """
import sys
import edge.cli
heavy = "cryptography httpx jinja2 numpy.fft numpy.ma numpy.random prometheus_client".split()
print(sorted(set(heavy) & set(sys.modules)))
from edge.detectors.fall import FallDetector
from edge.readings import BodyPosition
from tests.edge.detectors import fall_physics as physics
frames = physics.frames(physics.fall(after_s=12)[0])
detector = FallDetector("w", BodyPosition.WAIST)
before = set(sys.modules)
found = [d for frame in frames for d in detector.on_frame(frame)]
print(len(found), sorted(set(sys.modules) - before))
"""


def test_the_gateway_works_as_its_unit_starts_it(tmp_path: Path) -> None:
    """It hears the home, an alarm reaches the cloud, it stops; what it has compiled lies where the unit says. Every
    module that it may need later can be imported so too.
    """
    compiled = tmp_path / "compiled"
    shipped = as_shipped(compiled)
    with home_and_cloud(tmp_path) as (gateway, cloud):
        gateway.start(**shipped)
        gateway.press_sos()
        wait_for("alarm", lambda: cloud.alarms)
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0
    assert [path for path in compiled.rglob("pipeline.*.opt-2.pyc") if path.parent.name == "edge"]
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALL], env=os.environ | shipped, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("2", 0), done.stderr


def test_the_first_fall_waits_for_no_import() -> None:
    """Some functions of numpy import a whole package when they are first called. What only some homes need, or nobody,
    is not in memory from the start.
    """
    done = subprocess.run([sys.executable, "-c", _FALL], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "1 []"]


def test_the_unit_lets_the_service_write_its_cache() -> None:
    """The cache of compiled modules is the service's own folder, made by systemd."""
    unit = UNIT.read_text()
    folder = Path(next(line for line in unit.splitlines() if "PYTHONPYCACHEPREFIX=" in line).rpartition("=")[2])
    assert folder == Path("/var/cache") / next(
        line for line in unit.splitlines() if line.startswith("CacheDirectory=")
    ).removeprefix("CacheDirectory=")
