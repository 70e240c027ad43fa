"""Every code that the edge, the wire or the cloud can send to the console has words there, in both languages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.dispatch.ladder import Shortfall
from cloud.incidents.cries import CAUSE
from cloud.incidents.states import State
from edge.alarms.states import TRANSITIONS
from edge.detectors.home.climate import COLD, HEAT
from edge.detectors.news2 import Sign
from edge.detectors.trend_limits import LIMITS, reason_of
from protocols.errors import Reason
from protocols.faults import Fault
from protocols.metrics import METRICS
from protocols.wire import AlarmKind, Lane, Priority, TellOutcome, ToldWhat
from tests.support.texts import WEB, texts_of

ROOT = Path(__file__).resolve().parents[2]


def _trees(folder: str) -> Iterator[ast.AST]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        yield ast.parse(path.read_text(encoding="utf-8"))


def _constants(node: ast.AST) -> set[str]:
    """String constants an expression can become: both sides of a choice, the values of a table."""
    match node:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.IfExp(body=body, orelse=other):
            return _constants(body) | _constants(other)
        case ast.Dict(values=values):
            return set().union(*map(_constants, values))
    return set()


def _reasons() -> set[str]:
    """What detectors and alarms of the edge give as their reason."""
    found = {level.reason for level in (*HEAT, *COLD)} | {*map(reason_of, LIMITS)}
    found |= {reason for _, reason in TRANSITIONS.values() if reason}
    for tree in (*_trees("edge/detectors"), *_trees("edge/alarms")):
        for node in ast.walk(tree):
            match node:
                case ast.keyword(arg="reason", value=value):
                    found |= _constants(value)
                case ast.Assign(targets=[ast.Name(id="reason" | "_REASONS")], value=value):
                    found |= _constants(value)
                case ast.FunctionDef(name="_reason"):
                    returned = [r.value for r in ast.walk(node) if isinstance(r, ast.Return) and r.value]
                    found |= set().union(*map(_constants, returned))
                case ast.Call(func=ast.Attribute(attr="_tell"), args=[first, *_]):
                    found |= _constants(first)
    return found


def _numbers() -> set[str]:
    """Names of the numbers in a detector's evidence, and in what the alarms count."""
    found: set[str] = set()
    for tree in (*_trees("edge/detectors"), *_trees("edge/alarms")):
        for node in ast.walk(tree):
            match node:
                case ast.Assign(targets=[ast.Name(id="numbers")], value=ast.Dict(keys=keys)):
                    found |= {k.value for k in keys if isinstance(k, ast.Constant) and isinstance(k.value, str)}
                case ast.Assign(targets=[ast.Subscript(value=ast.Name(id="numbers"), slice=ast.Constant(value=key))]):
                    found.add(str(key))
                case ast.Call(func=ast.Attribute(attr="_tell"), args=[*_, ast.Dict(keys=keys)]):
                    found |= {k.value for k in keys if isinstance(k, ast.Constant) and isinstance(k.value, str)}
    return found


def _events() -> set[str]:
    """Kinds of entries that the cloud writes into an incident's log."""
    found: set[str] = set()
    for tree in _trees("cloud"):
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id="record"), args=[_, _, kind, *_]):
                    found |= _constants(kind)
                case ast.Call(func=ast.Name(id="_give" | "attach"), args=[*args]):
                    found |= set().union(*map(_constants, args))
    return found


def _channels() -> set[str]:
    """Ways by which a home tells somebody without the cloud."""
    found: set[str] = set()
    for tree in _trees("edge/fallback"):
        for node in ast.walk(tree):
            match node:
                case ast.Assign(targets=[ast.Name(id="channel")], value=value):
                    found |= _constants(value)
    return found


def _problems() -> set[str]:
    """Codes of problems that the console's own requests can meet."""
    found: set[str] = set()
    for name in ("problems", "sessions", "incidents", "homes", "platform", "vitals"):
        for node in ast.walk(ast.parse((ROOT / "cloud" / "api" / f"{name}.py").read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="ApiError" | "_answer"), args=[_, code, *_]):
                    found |= _constants(code)
    # told on the sign-in page; a foreign page's own fault; the server's words are all there is
    return found - {"wrong_password", "not_from_our_page", "http_error"}


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_code_has_words(lang: str) -> None:
    """Measured values, reasons of alarms and refusals, evidence, log entries: none reaches a person as a code."""
    texts = texts_of(lang)
    reasons, numbers, events = _reasons(), _numbers(), _events()
    assert len(reasons) > 40, "the reasons are not found any more"
    assert len(numbers) > 30
    assert len(events) > 15
    assert len(_channels()) > 1
    assert len(_problems()) > 7
    wanted = {
        "metric": METRICS,
        "reason": reasons,
        "refused": Reason,
        "sign": Sign,
        "kind": AlarmKind,
        "priority": Priority,
        "state": State,
        "event": events,
        "shortfall": Shortfall,
        "error": _problems(),
        "lane": Lane,
        "channel": _channels(),
        "told": {*TellOutcome, *ToldWhat} - {ToldWhat.ALARM},
        "cause": {*Fault, CAUSE, "unusual_value"},
    }
    assert [
        f"{group}.{code}" for group, codes in wanted.items() for code in codes if f"{group}.{code}" not in texts
    ] == []
    assert [name for name in numbers if not {f"number.{name}", f"sign.{name}", f"metric.{name}"} & {*texts}] == []


def test_no_text_is_left_over() -> None:
    """A key that nothing in the console asks for is dead."""
    code = [p for p in WEB.rglob("*.ts*") if p.parent.name not in ("zh", "en")]
    source = "".join(p.read_text(encoding="utf-8") for p in code)
    groups = {*re.findall(r'code\("(\w+)"', source), "sign", *re.findall(r"`(\w+)\.\$\{", source)}
    assert [key for key in texts_of("zh") if f'"{key}"' not in source and key.split(".")[0] not in groups] == []


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_both_languages_take_the_same_values(lang: str) -> None:
    """What stands in braces is filled in by the page: it is the same in both, and Chinese is Chinese."""
    own, other = texts_of(lang), texts_of("en" if lang == "zh" else "zh")
    assert [k for k in own if {*re.findall(r"\{\w+\}", own[k])} != {*re.findall(r"\{\w+\}", other[k])}] == []
    if lang == "en":
        assert [k for k, text in own.items() if re.search(r"[一-鿿]", text) and k != "lang.other"] == []
