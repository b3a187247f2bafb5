"""Where the rules put what they find."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from mainspring.code.scan.finding import Draft
from mainspring.code.scan.python.values import GIVEN, OUTSIDE, Value
from mainspring.code.scan.rules import draft

__all__ = ["Sink", "rated"]


@dataclass(slots=True)
class Sink:
    """Drafts of one file. `testing` is set for test code, where what only hurts in service is left out."""

    testing: bool = False
    drafts: list[Draft] = field(default_factory=list)

    def add(self, rule: str, node: ast.AST, **more: str) -> None:
        """A finding at a node."""
        self.drafts.append(draft(rule, getattr(node, "lineno", 1), **more))

    def risky(
        self, rule: str, node: ast.AST, value: Value | None, use: str, at_least: int = GIVEN, **more: str
    ) -> bool:
        """A finding when a value may come from as far outside as `at_least` and was not made safe for the use."""
        if value is None or value.risk(use) < at_least or (self.testing and value.level < OUTSIDE):
            return False
        self.add(rule, node, **{**rated(value), **more})
        return True


def rated(value: Value) -> dict[str, str]:
    """How sure one can be: a request's field is surely from outside, a parameter may be."""
    return {"confidence": "high" if value.level == OUTSIDE else "medium"}
