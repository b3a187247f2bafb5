"""All rules for Python over one file."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from mainspring.code.scan.finding import Draft
from mainspring.code.scan.python import crypto, data, injection, outward
from mainspring.code.scan.python.flow import Call, Flow, Function
from mainspring.code.scan.python.report import Sink
from mainspring.code.scan.python.values import Value

__all__ = ["analyse", "parse"]


@dataclass(slots=True)
class _All:
    sink: Sink

    def call(self, call: Call) -> None:
        injection.call(call, self.sink)
        outward.call(call, self.sink)
        crypto.call(call, self.sink)
        data.call(call, self.sink)

    def assign(self, target: str, value: Value, node: ast.AST, source: ast.expr, function: Function) -> None:
        crypto.assign(target, value, node, source, function, self.sink)
        data.assign(target, value, node, source, function, self.sink)

    def returns(self, value: Value, node: ast.Return, function: Function) -> None:
        outward.returns(value, node, function, self.sink)

    def compare(self, node: ast.Compare, values: Sequence[Value], function: Function) -> None:
        crypto.compare(node, values, function, self.sink)


def parse(text: str) -> ast.Module | None:
    """The tree of a text, None when it does not parse (or is nested deeper than Python's parser goes)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def analyse(tree: ast.Module, testing: bool = False) -> list[Draft]:
    """What the rules find in a module.

    Args:
        testing: it is test code, where what only hurts in service is left out.

    Raises:
        RecursionError: the tree is nested too deep.
    """
    sink = Sink(testing)
    Flow(_All(sink)).read(tree)
    data.module(tree, sink)
    return sink.drafts
