"""Mistakes in the gateway's configuration are named with their key, one line each."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from edge import cli
from edge.config import GatewayConfig

_GOOD = '[gateway]\nid = "gw-1"\n[cloud_broker]\nhost = "broker"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "gateway"),
        (_GOOD.replace("gw-1", "GW 1"), "gateway.id"),
        (_GOOD + "port = 0\n", "cloud_broker.port"),
        (_GOOD + "prot = 1\n", "cloud_broker.prot"),
        (_GOOD + "[alarms]\nquestion_s = nan\n", "alarms.question_s"),
        (_GOOD + '[[devices]]\nid = "a"\nrole = "toaster"\n', "devices.0.role"),
        (_GOOD + '[[devices]]\nid = "a"\nrole = "sos"\n[[devices]]\nid = "a"\nrole = "sos"\n', "a"),
        ("[gateway\n", "gateway.toml"),
        (_GOOD + '[fallback]\nmodem = { port = "/dev/ttyUSB0" }\n', "contacts"),
        (_GOOD + '[fallback]\nmodem = { port = "COM1" }\nphones = ["10086"]\n', "fallback.modem.port"),
        (_GOOD + '[[fallback.contacts]]\nname = "a"\nphone = "12 34"\n', "fallback.contacts.0.phone"),
        (_GOOD + '[fallback]\nphones = ["10086"]\n[[fallback.contacts]]\nname = "a"\nphone = "10086"\n', "twice"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """check-config and run both end with 2 and the key."""
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    for command in ("check-config", "run"):
        assert cli.main([command, "--config", str(path)]) == 2
        assert words in capsys.readouterr().err


def test_good_and_absent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A good file is said to be good; a missing one, and a daemon that does not run, in one line."""
    path = tmp_path / "gateway.toml"
    path.write_text(_GOOD.replace('id = "gw-1"', f'id = "gw-1"\ndata_dir = "{tmp_path}"'))
    assert cli.main(["check-config", "--config", str(path)]) == 0
    assert "good" in capsys.readouterr().out
    assert cli.main(["status", "--config", str(path)]) == 1
    assert "no daemon answers" in capsys.readouterr().err
    assert cli.main(["run", "--config", str(tmp_path / "none.toml")]) == 2


def test_time_zones_without_those_of_the_system(tmp_path: Path) -> None:
    """A slim system has no time zones of its own; the package brings them, and the lock of the gateway has it."""
    path = tmp_path / "gateway.toml"
    path.write_text(_GOOD)
    command = [sys.executable, "-m", "edge.cli", "check-config", "--config", str(path)]
    done = subprocess.run(command, env={"PYTHONTZPATH": ""}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "\ntzdata==" in Path("locks/edge.txt").read_text(encoding="utf-8")


def _keys(model: type[BaseModel]) -> Iterator[str]:
    """All keys of a section and of the sections below it."""
    for name, known in model.model_fields.items():
        yield name
        nested = [known.annotation, *get_args(known.annotation)]
        for kind in {inner for outer in nested for inner in (outer, *get_args(outer))}:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _keys(kind)


def test_every_key_is_documented() -> None:
    """docs/gateway.md names each key of the configuration."""
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`\n]+`", Path("docs/gateway.md").read_text("utf-8")))))
    assert set(_keys(GatewayConfig)) - named == set()
