"""What the documents point at exists: links, files, scripts, commands and their options."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import cloud.cli
import edge.cli
import edge.evaluate.cli
import firmware_sim.cli

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
PROGRAMS: dict[str, Callable[[list[str]], int]] = {
    "anju-cloud": cloud.cli.main,
    "anju-gateway": edge.cli.main,
    "anju-sim": firmware_sim.cli.main,
    "anju-evaluate": edge.evaluate.cli.main,
}
_CODE = re.compile(r"^ {4}.*$|`[^`\n]+`|^```.*?^```", re.MULTILINE | re.DOTALL)
_SOURCES = re.compile(r"^- Sources?:.*(?:\n  .*)*", re.MULTILINE)
"""Lists of other projects' files."""
_TREES = "cloud|deploy|docs|edge|firmware_sim|locks|protocols|scripts|tests"


def _each(pattern: str, *, code: bool = False) -> Iterator[tuple[str, re.Match[str]]]:
    for path in DOCUMENTS:
        text = _SOURCES.sub("", path.read_text(encoding="utf-8"))
        parts = [m[0] for m in _CODE.finditer(text)] if code else [text]
        for part in parts:
            for match in re.finditer(pattern, part):
                yield str(path.relative_to(ROOT)), match


def test_links_resolve() -> None:
    """Every relative link leads to a file, every heading it names is there."""
    found = 0
    for name, match in _each(r"\]\(([^)\s]+)\)"):
        target, _, heading = match[1].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        found += 1
        path = ((ROOT / name).parent / target).resolve() if target else ROOT / name
        assert path.exists(), f"{name}: {match[1]}"
        if heading:
            lines = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in lines}, match[1]
    assert found > 10


def test_files_named_exist() -> None:
    """A path in a text is a path in the tree."""
    found = {(n, m[0].rstrip("./")) for n, m in _each(rf"(?<![\w./-])(?:{_TREES})/[\w*][\w./*@-]*+(?![{{<])")}
    assert len(found) > 30
    missing = [(n, p) for n, p in found if not any(ROOT.glob(p)) and not any(ROOT.glob(f"{p}.py"))]
    assert missing == []


def test_scripts_know_what_they_are_asked() -> None:
    """`scripts/bench NAME` and `scripts/faults NAME` name one of theirs."""
    found = {(m[1], m[2]) for _, m in _each(r"scripts/(bench|faults)\s+([a-z]+)(?![\w-])", code=True)}
    assert len(found) > 5
    for script, name in found:
        known = re.search(r"names\(\) \{ echo ([a-z ]+); \}", (ROOT / "scripts" / script).read_text())
        assert known is not None
        assert name in known[1].split(), f"scripts/{script} {name}"
        assert (ROOT / "tests" / script / f"{name}.py").exists()


def _commands() -> list[tuple[str, ...]]:
    """Program, sub-commands and options, as named; `a | b` after a program are several of its sub-commands."""
    found: set[tuple[str, ...]] = set()
    for _, match in _each(rf"({'|'.join(PROGRAMS)})((?: [^\s`]+)*)", code=True):
        words = match[2].split(" #")[0].split()
        choices = [[]] if "|" not in words else [[word] for word in words if re.fullmatch(r"[a-z-]+", word)]
        if "|" in words:
            words = []
        for choice in choices:
            found.add((match[1], *choice, *words))
    return sorted(found)


@pytest.mark.parametrize("command", _commands(), ids=" ".join)
def test_commands_exist(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """The help of each sub-command is there and knows each option that is named with it."""
    program, *words = command
    own = [word for word in words if re.fullmatch(r"[a-z][a-z-]+", word)]
    options = [word for word in words if word.startswith("--")]
    for depth in (2, 1, 0):  # a word may be a sub-command, or the value of an argument
        with pytest.raises(SystemExit) as end:
            PROGRAMS[program]([*own[:depth], "--help"])
        shown = capsys.readouterr()
        if end.value.code == 0:
            break
    assert end.value.code == 0, shown.err
    usage = shown.out.partition("\n\n")[0]
    assert not own or own[0] in usage, usage
    assert [option for option in options if option.split("=")[0] not in shown.out] == []


def test_tests_named_exist() -> None:
    """The table of what is asked of the detectors names tests that are there."""
    text = (ROOT / "docs" / "detectors" / "shown.md").read_text(encoding="utf-8")
    named = 0
    for row in re.findall(r"^\|.*\|$", text, re.MULTILINE):
        source = ""
        for path, test in re.findall(r"`((?:[\w/]+\.py)?)(?:::)?(test_\w+)?`", row):
            if path:
                found = ROOT / (path if path.startswith("tests/") else f"tests/edge/{path}")
                assert found.is_file(), path
                source = found.read_text(encoding="utf-8")
            assert not test or f"def {test}(" in source, f"{path}: {test}"
            named += bool(path or test)
    assert named > 50
