"""Value templates of Home Assistant discovery, in a sandbox whose time and memory are bounded by what it leaves out.

A template from a device is a program from a stranger. Without loops, assignments, macros, powers and formatting, and
with filters that make nothing large, the work of an expression is bounded by its length; what is left covers what
discovery messages contain. What a message does not mention is nothing, not an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, Final

import msgspec

from protocols.errors import ProtocolError, Reason

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.nodes import Node
    from jinja2.sandbox import SandboxedEnvironment

MAX_TEMPLATE: Final = 1_024
MAX_PAYLOAD: Final = 16_384
MAX_RESULT: Final = 4_096
MAX_NODES: Final = 128
MAX_LEVELS: Final = 24
"""Compiling takes a time that grows with the cube of the depth: 160 filters in a row cost seconds."""
MAX_NUMBER: Final = 1e15
"""Factors beyond this are refused: whole numbers of Python grow without end."""
_MAX_TEXT: Final = 65_536
_MAX_DIGITS: Final = 12
_FILTERS: Final = frozenset(
    {"abs", "default", "d", "first", "float", "int", "last", "length", "lower", "string", "tojson", "trim", "upper"}
)
_FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {"float": float, "int": int, "min": min, "max": max}
_METHODS: Final = frozenset({"get", "lower", "upper", "strip", "startswith", "endswith", "split"})
_TOO_MUCH: Final = frozenset(
    {
        "For",
        "Assign",
        "AssignBlock",
        "Macro",
        "CallBlock",
        "FilterBlock",
        "Include",
        "Import",
        "FromImport",
        "Extends",
        "Block",
        "Pow",
        "With",
    }
)


class Templates:
    """Renders templates; jinja2 is loaded with the first."""

    def render(self, source: str, payload: str, where: str) -> str:
        """The text a template makes of a payload, "" where the payload does not mention what it asks for; raises
        ProtocolError.
        """
        from jinja2 import UndefinedError

        if len(payload) > MAX_PAYLOAD:
            raise ProtocolError(Reason.OVERSIZED, where, f"{len(payload)} characters for a template")
        template = _compiled(source)
        if isinstance(template, str):
            raise ProtocolError(Reason.MALFORMED, where, f"template: {template}")
        try:
            value_json = msgspec.json.decode(payload.encode())
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            value_json = None
        try:
            out = template.render(value=payload, value_json=value_json)
        except UndefinedError:
            return ""
        except Exception as error:  # noqa: BLE001 - a stranger's expression may raise anything
            raise ProtocolError(Reason.MALFORMED, where, f"template: {type(error).__name__} {error}"[:200]) from None
        if len(out) > MAX_RESULT:
            raise ProtocolError(Reason.OVERSIZED, where, f"template made {len(out)} characters")
        return out.strip()


@lru_cache(1_024)
def _compiled(source: str) -> Template | str:
    """The template, or why it is refused."""
    from jinja2 import TemplateError, nodes

    if len(source) > MAX_TEMPLATE:
        return f"is longer than {MAX_TEMPLATE} characters"
    environment = _environment()
    try:
        tree = environment.parse(source)
        if not _is_small(tree):
            return f"has more than {MAX_NODES} parts or {MAX_LEVELS} levels"
        for node in tree.find_all(nodes.Node):
            if type(node).__name__ in _TOO_MUCH:
                return f"{type(node).__name__} is not allowed"
            if isinstance(node, nodes.Call) and not _may_call(node.node):
                return "calls nothing that is allowed"
        return environment.from_string(source)
    except (TemplateError, SyntaxError, RecursionError, MemoryError, ValueError, OverflowError) as error:
        return str(error)[:200]


def _is_small(tree: Node) -> bool:
    level, count = [tree], 0
    for _ in range(MAX_LEVELS):
        count += len(level)
        level = [inner for outer in level for inner in outer.iter_child_nodes()]
        if not level:
            return count <= MAX_NODES
    return False


def _may_call(called: object) -> bool:
    from jinja2 import nodes

    if isinstance(called, nodes.Name):
        return called.name in _FUNCTIONS or called.name == "iif"
    return isinstance(called, nodes.Getattr) and called.attr in _METHODS


@lru_cache(1)
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Environment(ImmutableSandboxedEnvironment):
        """`*` and `%` are for numbers only: of a text they repeat and format."""

        intercepted_binops = frozenset({"*", "%"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            for side in (left, right):
                if not isinstance(side, (int, float)) or not abs(side) <= MAX_NUMBER:
                    raise ValueError(f"{operator} takes numbers up to {MAX_NUMBER:g}")
            return super().call_binop(context, operator, left, right)

    environment = Environment(undefined=StrictUndefined)
    kept = {name: _bounded(function) for name, function in environment.filters.items() if name in _FILTERS}
    own = {"iif": _iif, "is_defined": lambda value: value, "round": _round, "replace": _replace}
    environment.filters = kept | own
    environment.globals = _FUNCTIONS | {"iif": _iif}
    return environment


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Refuses to grow: filters in a row may double a text each time."""

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        out = function(*args, **options)
        if isinstance(out, str) and len(out) > _MAX_TEXT:
            raise ValueError(f"a filter made {len(out)} characters")
        return out

    return call


def _round(value: Any, precision: int = 0, method: str = "common") -> float:
    if not -_MAX_DIGITS <= precision <= _MAX_DIGITS:
        raise ValueError(f"rounds to at most {_MAX_DIGITS} digits")
    number = float(value)
    if method == "common":
        return float(round(number, precision))
    scaled = number * 10.0**precision
    return float(math.ceil(scaled) if method == "ceil" else math.floor(scaled)) / 10.0**precision


def _replace(value: Any, old: str, new: str) -> str:
    text = str(value)
    if text.count(old) * len(new) > _MAX_TEXT:
        raise ValueError("replace makes too much")
    return text.replace(old, new)


def _iif(value: Any, yes: Any = True, no: Any = False) -> Any:
    return yes if value else no
