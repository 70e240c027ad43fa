"""Value templates of Home Assistant discovery, in a sandbox whose time and memory are bounded by what it leaves out.

A template from a device is a program from a stranger. Without loops, assignments, macros, powers, repetition and
formatting, the work of an expression is bounded by its length; what is left covers what discovery messages contain.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from protocols.errors import ProtocolError, Reason

if TYPE_CHECKING:
    from jinja2 import Template

MAX_TEMPLATE: Final = 1_024
MAX_RESULT: Final = 4_096
_FILTERS = frozenset(
    {
        "abs",
        "default",
        "d",
        "first",
        "float",
        "int",
        "is_defined",
        "last",
        "length",
        "lower",
        "round",
        "string",
        "trim",
        "upper",
        "iif",
        "tojson",
    }
)
_METHODS = frozenset({"get", "lower", "upper", "strip", "startswith", "endswith", "split"})
_TOO_MUCH = (
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
    "Mul",
    "Mod",
    "With",
)


class Templates:
    """Renders templates; jinja2 is loaded with the first."""

    def render(self, source: str, payload: str, where: str) -> str:
        """The text a template makes of a payload; raises ProtocolError."""
        try:
            template = _compiled(source)
        except ValueError as error:
            raise ProtocolError(Reason.MALFORMED, where, f"template: {error}") from None
        try:
            value_json = msgspec.json.decode(payload.encode())
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            value_json = None
        try:
            out = template.render(value=payload, value_json=value_json)
        except Exception as error:  # noqa: BLE001 - a stranger's expression may raise anything
            raise ProtocolError(Reason.MALFORMED, where, f"template: {type(error).__name__} {error}"[:200]) from None
        if len(out) > MAX_RESULT:
            raise ProtocolError(Reason.OVERSIZED, where, f"template made {len(out)} characters")
        return out.strip()


@lru_cache(256)
def _compiled(source: str) -> Template:
    from jinja2 import StrictUndefined, TemplateError, nodes
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    if len(source) > MAX_TEMPLATE:
        raise ValueError(f"is longer than {MAX_TEMPLATE} characters")
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    environment.globals.clear()
    environment.filters["iif"] = _iif
    environment.filters["is_defined"] = lambda value: value
    environment.filters = {k: v for k, v in environment.filters.items() if k in _FILTERS}
    try:
        tree = environment.parse(source)
        for node in tree.find_all(nodes.Node):
            if type(node).__name__ in _TOO_MUCH:
                raise ValueError(f"{type(node).__name__} is not allowed")
            if isinstance(node, nodes.Call) and not (
                isinstance(node.node, nodes.Getattr) and node.node.attr in _METHODS
            ):
                raise ValueError("calls nothing that is allowed")
        return environment.from_string(source)
    except (TemplateError, RecursionError) as error:
        raise ValueError(str(error)[:200]) from None


def _iif(value: Any, yes: Any = True, no: Any = False) -> Any:
    return yes if value else no
