"""Files people write: each mistake is named with its place, and nothing is half done."""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from cloud import cli
from cloud.config import CloudConfig, ConfigError, load
from cloud.context import Context
from cloud.db.schema import homes, users
from cloud.registry.importer import RegistryError, import_registry, read_registry
from cloud.registry.passwords import password_matches
from cloud.roles import ROLES, expand
from firmware_sim.demo.registry import make_registry
from tests.support.district import PASSWORD


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[api\n", "cloud.toml"),
        ("[api]\nport = 70000\n", "api.port"),
        ("[api]\nprot = 8080\n", "api.prot"),
        ('[dispatch]\nladders = {high = [{after_s = -1, tell = "contacts"}]}\n', "dispatch.ladders.high.0.after_s"),
        ('[timeseries.influxdb]\ndatabase = "x"\n', "timeseries.influxdb.url"),
        ('log_level = "loud"\n', "log_level"),
    ],
)
def test_mistakes_in_the_configuration(
    tmp_path: Path, text: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names file and key; the program ends with 2 and no traceback."""
    path = tmp_path / "cloud.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load(path)
    assert cli.main(["doctor", "--config", str(path)]) == 2
    assert words in capsys.readouterr().err


def test_missing_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there is said in one line."""
    assert cli.main(["run", "--config", "/nowhere/cloud.toml"]) == 2
    assert capsys.readouterr().err == "/nowhere/cloud.toml: No such file or directory\n"


def _change(section: str, index: int, **values: Any) -> dict[str, Any]:
    registry = make_registry(2, PASSWORD)
    registry[section][index] |= values
    return registry


@pytest.mark.parametrize(
    ("registry", "words"),
    [
        (_change("homes", 1, lat=122.5), r"homes\[1\]\.lat"),
        (_change("homes", 1, lat="NaN"), r"homes\[1\]\.lat"),
        (_change("homes", 0, sub_district="luohu"), r"homes\[0\]\.sub_district"),
        (_change("homes", 1, id="h-demo"), "'h-demo' stands 2 times"),
        (_change("residents", 2, home_id="h-x"), r"residents\[2\]\.home_id: there is no home 'h-x'"),
        (_change("contacts", 0, phone="call me"), r"contacts\[0\]\.phone"),
        (_change("users", 0, password="short"), r"users\[0\]\.password"),
        (_change("users", 0, contact_id="c-x"), r"users\[0\]\.contact_id: there is no contact"),
        (_change("users", 0, sub_district="luohu"), r"users\[0\]\.sub_district"),
        (_change("users", 0, role="admin", sub_district="lianhua"), r"users\[0\]: .*only operators and supervisors"),
        (_change("responders", 0, role="wizard"), r"responders\[0\]\.role"),
        (make_registry(1, PASSWORD) | {"planets": []}, "planets"),
        ([1, 2], "file"),
    ],
)
def test_mistakes_in_the_registry(tmp_path: Path, registry: Any, words: str) -> None:
    """The place of each mistake is named."""
    path = tmp_path / "district.json"
    path.write_text(json.dumps(registry))
    with pytest.raises(RegistryError, match=words):
        read_registry(path)


async def test_import_twice_updates(context: Context, tmp_path: Path) -> None:
    """A second import updates; passwords stay when the file has none; new accounts need one, and then nothing
    changes.
    """
    path = tmp_path / "district.json"
    path.write_text(json.dumps(make_registry(3, PASSWORD)))
    assert (await import_registry(context, read_registry(path)))["homes"] == 4
    changed = make_registry(5, None)
    changed["homes"][0]["address"] = "新地址"
    path.write_text(json.dumps(changed))
    await import_registry(context, read_registry(path))
    async with context.look() as work:
        assert await work.connection.scalar(select(func.count()).select_from(homes)) == 6
        stored = await work.one(select(users.c.password_hash).where(users.c.id == "u-demo"))
    assert stored is not None
    assert password_matches(stored["password_hash"], PASSWORD)
    assert not password_matches(stored["password_hash"], PASSWORD + "x")
    changed["users"].append({"id": "u-new", "login": "new", "name": "新", "role": "operator"})
    changed["homes"].append(changed["homes"][0] | {"id": "h-late"})
    path.write_text(json.dumps(changed))
    with pytest.raises(RegistryError, match=r"users\[2\]\.password"):
        await import_registry(context, read_registry(path))
    async with context.look() as work:
        assert await work.connection.scalar(select(func.count()).select_from(homes)) == 6


def test_commands_on_a_fresh_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """run says that migrate is missing; migrate, import, user and doctor work one after another."""
    config = tmp_path / "cloud.toml"
    config.write_text(
        f'[database]\nurl = "sqlite+aiosqlite:///{tmp_path}/a.db"\n[timeseries]\nsqlite_path = "{tmp_path}/t.db"\n'
        "[broker]\nport = 9\n[metrics]\nport = 0\n"
    )
    with_config = ["--config", str(config)]
    assert cli.main(["run", *with_config]) == 2
    assert "anju-cloud migrate" in capsys.readouterr().err
    assert cli.main(["run", "nothing", *with_config]) == 2
    assert cli.main(["migrate", *with_config]) == 0
    assert cli.main(["migrate", *with_config]) == 0
    assert "already at" in capsys.readouterr().out
    (tmp_path / "d.json").write_text(json.dumps(make_registry(2, PASSWORD)))
    assert cli.main(["registry", "import", *with_config, str(tmp_path / "d.json")]) == 0
    assert "3 homes" in capsys.readouterr().out
    assert cli.main(["doctor", *with_config]) == 1
    report = capsys.readouterr().out
    assert "ok   database" in report
    assert "ok   operators" in report
    assert "ok   time series" in report
    assert "BAD  broker 127.0.0.1:9" in report
    assert "BAD  SMS webhook: notify.sms_url is not set" in report


def test_accounts(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator of one sub-district, then of all; a mistake is named and changes nothing."""
    config = tmp_path / "cloud.toml"
    config.write_text(f'[database]\nurl = "sqlite+aiosqlite:///{tmp_path}/a.db"\n')
    assert cli.main(["migrate", "--config", str(config)]) == 0

    def add(*more: str, role: str = "operator") -> tuple[int, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
        capsys.readouterr()
        account = ["--id", "li", "--login", "li", "--name", "李娜", "--role", role, *more]
        code = cli.main(["user", "add", "--config", str(config), *account])
        out = capsys.readouterr()
        return code, (out.out + out.err).strip()

    def stored() -> list[tuple[str, str | None]]:
        with closing(sqlite3.connect(tmp_path / "a.db")) as database:
            return database.execute("SELECT role, sub_district FROM users").fetchall()

    assert add("--sub-district", "lianhua") == (0, "li: operator, lianhua")
    assert stored() == [("operator", "lianhua")]
    code, said = add("--sub-district", "lianhua", role="admin")
    assert (code, "only operators and supervisors" in said) == (1, True)
    assert add("--sub-district", "luohu")[0] == 1
    assert stored() == [("operator", "lianhua")]
    assert add() == (0, "li: operator, whole district")
    assert stored() == [("operator", None)]


def test_a_sub_district_that_nobody_sees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The doctor names it: its incidents would stand in no console."""
    config = tmp_path / "cloud.toml"
    config.write_text(
        f'[database]\nurl = "sqlite+aiosqlite:///{tmp_path}/a.db"\n[timeseries]\nsqlite_path = "{tmp_path}/t.db"\n'
        "[broker]\nport = 9\n"
    )
    registry = make_registry(1, PASSWORD)
    near, far = registry["homes"][0]["sub_district"], "fubao"
    registry["homes"][1]["sub_district"] = far
    for user in registry["users"]:
        if user["role"] in ("operator", "supervisor", "admin"):
            user |= {"role": "operator", "sub_district": near}
    assert cli.main(["migrate", "--config", str(config)]) == 0

    def said() -> str:
        (tmp_path / "d.json").write_text(json.dumps(registry))
        assert cli.main(["registry", "import", "--config", str(config), str(tmp_path / "d.json")]) == 0
        assert cli.main(["doctor", "--config", str(config)]) == 1
        return next(line for line in capsys.readouterr().out.splitlines() if "operators" in line)

    assert said() == f"BAD  operators: nobody sees the incidents of {far}"
    next(user for user in registry["users"] if user["role"] == "operator")["sub_district"] = far
    registry["homes"][0]["sub_district"] = far
    assert said() == "ok   operators"


def test_each_process_has_a_port_of_its_own_for_metrics() -> None:
    """Four processes of one file do not take each other's port; a wish goes before, and 0 stays off."""
    config = CloudConfig()
    ports = {role: cli.with_metrics_port(config, {role}, None).metrics.port for role in ROLES}
    assert ports == {"alarms": 9108, "telemetry": 9109, "dispatch": 9110, "api": 9111}
    assert cli.with_metrics_port(config, expand(()), None).metrics.port == 9108
    assert cli.with_metrics_port(config, expand(["ingest"]), 9200).metrics.port == 9200
    off = CloudConfig.model_validate({"metrics": {"port": 0}})
    assert cli.with_metrics_port(off, {"api"}, None).metrics.port == 0
    with pytest.raises(ConfigError, match="--metrics-port"):
        cli.with_metrics_port(config, {"api"}, 70_000)
