"""The wheel: it installs with each extra alone, its programs start there, and what is imported is ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.xdist_group("wheel"), pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def uv() -> str:
    program = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
    assert Path(program).is_file(), "scripts/bootstrap fetches uv"
    return program


@pytest.fixture(scope="module")
def wheel(uv: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    build = [uv, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([*build, "--out-dir", str(out), str(ROOT)], check=True)
    (found,) = out.glob("*.whl")
    return found


def test_contents(wheel: Path) -> None:
    """Four packages, the built console, migrations and pages; no sources of the console, no tests."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"protocols", "edge", "cloud", "firmware_sim"}
    assert "cloud/web/dist/index.html" in names
    assert "cloud/db/migrations/script.py.mako" in names
    assert "cloud/api/templates/family.html" in names
    assert "firmware_sim/phones/page.html" in names
    assert not [name for name in names if "node_modules" in name or name.startswith("cloud/web/src")]


@pytest.mark.parametrize(
    ("extra", "programs", "absent"),
    [
        ("edge", ["anju-gateway"], ["fastapi", "sqlalchemy", "influxdb_client"]),
        ("cloud", ["anju-cloud"], ["aiomqtt", "psutil"]),
        ("sim", ["anju-sim"], ["aiomqtt", "sqlalchemy"]),
    ],
)
def test_each_extra_alone(
    uv: str, wheel: Path, tmp_path: Path, extra: str, programs: list[str], absent: list[str]
) -> None:
    """In an empty environment with versions from the lock."""
    venv = tmp_path / "venv"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(venv)], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", str(venv), "-c", str(_constraints(tmp_path))]
    subprocess.run([*install, f"anju[{extra}] @ file://{wheel}"], check=True)
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    for program in programs:
        done = subprocess.run([venv / "bin" / program, "--help"], capture_output=True, text=True, env=env, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "examples:" in done.stdout
    package = {"edge": "edge", "cloud": "cloud", "sim": "firmware_sim"}[extra]
    absent_found = f"[m for m in {absent} if importlib.util.find_spec(m)]"
    code = f"import {package}, protocols, importlib.util; print({package}.__file__); print({absent_found})"
    done = subprocess.run([venv / "bin" / "python", "-c", code], capture_output=True, text=True, env=env, cwd=tmp_path)
    where, found = done.stdout.splitlines()
    assert Path(where).is_relative_to(venv)
    assert Path(where).read_bytes() == (ROOT / package / "__init__.py").read_bytes()
    assert found == "[]"


def test_one_line_installs_a_gateway_and_upgrades_it(wheel: Path, tmp_path: Path) -> None:
    """The script of the release, run twice as for an upgrade: the locked packages, the program, the unit."""
    places = {"PREFIX": str(tmp_path / "opt"), "UNITS": str(tmp_path / "units"), "PYTHON": sys.executable}
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")} | places
    for _ in range(2):
        done = subprocess.run(
            [ROOT / "deploy" / "install-gateway", wheel], capture_output=True, text=True, env=env, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == wheel.name.split("-")[1]
    unit = "anju-gateway.service"
    assert (tmp_path / "units" / unit).read_bytes() == (ROOT / "deploy" / "systemd" / unit).read_bytes()
    refused = subprocess.run([ROOT / "deploy" / "install-gateway"], capture_output=True, text=True, env=env)
    assert (refused.returncode, "install-gateway WHEEL" in refused.stderr) == (2, True)


def _constraints(folder: Path) -> Path:
    """The lock without its hashes, which constraints cannot carry for a wheel of our own."""
    lines = [
        line.split(" \\")[0] for line in (ROOT / "locks" / "dev.txt").read_text().splitlines() if line[:1].isalnum()
    ]
    path = folder / "constraints.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_every_package_of_a_gateway_has_a_wheel_for_the_raspberry_pi(uv: str, tmp_path: Path) -> None:
    """On a 64-bit Raspberry Pi OS (Debian 12) nothing of the edge lock has to be compiled; the index is asked."""
    command = [uv, "pip", "install", "--dry-run", "--target", str(tmp_path / "pi"), "--python", sys.executable]
    command += ["--python-version", "3.11", "--python-platform", "aarch64-manylinux_2_28", "--only-binary", ":all:"]
    done = subprocess.run(
        [*command, "--no-deps", "--require-hashes", "-r", str(ROOT / "locks" / "edge.txt")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Would install" in done.stderr
