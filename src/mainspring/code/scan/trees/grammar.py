"""How the languages spell the same few things, and the shapes of rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["GRAMMARS", "CallRule", "Grammar", "Language", "TextRule"]


@dataclass(frozen=True, slots=True)
class CallRule:
    """A call whose argument must not come from outside.

    Args:
        rule: the class of fault.
        callee: a pattern for the callee as it is spelled, searched.
        use: what the argument must have been made safe for.
        argument: its place; -1 looks at all of them, -2 at the receiver.
        least: the lowest level that counts (1 anything not constant, 2 parameters, 3 requests).
        built: only where constant text was joined with it.
        text: a pattern that its constant text must match.
        severity: instead of the class's.
        confidence: how sure one can be.
        message: instead of the class's.
    """

    rule: str
    callee: re.Pattern[str]
    use: str
    argument: int = 0
    least: int = 2
    built: bool = False
    text: re.Pattern[str] | None = None
    severity: str = ""
    confidence: str = "medium"
    message: str = ""


@dataclass(frozen=True, slots=True)
class TextRule:
    """A node whose own text tells the fault.

    Args:
        rule: the class of fault.
        kinds: types of nodes that are looked at.
        pattern: searched in the node's text (its first 600 characters).
        unless: if found in the text of the enclosing function, there is no fault.
        near: must be found in the text around: the name of the function and the statement.
        severity: instead of the class's.
        message: instead of the class's.
    """

    rule: str
    kinds: frozenset[str]
    pattern: re.Pattern[str]
    unless: re.Pattern[str] | None = None
    near: re.Pattern[str] | None = None
    severity: str = ""
    confidence: str = "high"
    message: str = ""


@dataclass(frozen=True, slots=True)
class Language:
    """The rules of one language."""

    calls: tuple[CallRule, ...]
    assigns: tuple[CallRule, ...]
    texts: tuple[TextRule, ...]
    outside: re.Pattern[str]
    cleaners: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]
    formats: re.Pattern[str]
    services: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Grammar:
    """Types of nodes by what they mean."""

    functions: frozenset[str]
    declarations: Mapping[str, tuple[str, str]]
    assigns: Mapping[str, tuple[str, str]]
    calls: Mapping[str, tuple[str, str]]
    strings: frozenset[str]
    members: Mapping[str, str]
    templates: frozenset[str] = frozenset()
    concats: frozenset[str] = frozenset({"binary_expression"})
    branches: frozenset[str] = frozenset({"if_statement"})
    harmless: frozenset[str] = field(
        default=frozenset(
            {
                "number",
                "true",
                "false",
                "null",
                "undefined",
                "int_literal",
                "float_literal",
                "integer_literal",
                "decimal_integer_literal",
                "boolean_literal",
                "number_literal",
                "null_literal",
                "char_literal",
                "nil",
                "regex",
                "rune_literal",
                "hex_integer_literal",
                "character_literal",
                "sizeof_expression",
            }
        )
    )


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_JS = Grammar(
    functions=_set(
        "function_declaration function_expression arrow_function method_definition generator_function_declaration "
        "generator_function function"
    ),
    declarations={"variable_declarator": ("name", "value")},
    assigns={"assignment_expression": ("left", "right"), "augmented_assignment_expression": ("left", "right")},
    calls={"call_expression": ("function", "arguments"), "new_expression": ("constructor", "arguments")},
    strings=_set("string"),
    templates=_set("template_string"),
    members={"member_expression": "object", "subscript_expression": "object"},
)
GRAMMARS: dict[str, Grammar] = {
    "javascript": _JS,
    "typescript": _JS,
    "tsx": _JS,
    "go": Grammar(
        functions=_set("function_declaration method_declaration func_literal"),
        declarations={"short_var_declaration": ("left", "right"), "var_spec": ("name", "value")},
        assigns={"assignment_statement": ("left", "right")},
        calls={"call_expression": ("function", "arguments")},
        strings=_set("interpreted_string_literal raw_string_literal"),
        members={"selector_expression": "operand", "index_expression": "operand"},
    ),
    "rust": Grammar(
        functions=_set("function_item closure_expression"),
        declarations={"let_declaration": ("pattern", "value"), "const_item": ("name", "value")},
        assigns={"assignment_expression": ("left", "right")},
        calls={"call_expression": ("function", "arguments")},
        strings=_set("string_literal raw_string_literal"),
        templates=_set("macro_invocation"),
        members={"field_expression": "value", "index_expression": ""},
        branches=_set("if_expression"),
    ),
    "java": Grammar(
        functions=_set("method_declaration constructor_declaration lambda_expression"),
        declarations={"variable_declarator": ("name", "value"), "resource": ("name", "value")},
        assigns={"assignment_expression": ("left", "right")},
        calls={"method_invocation": ("name", "arguments"), "object_creation_expression": ("type", "arguments")},
        strings=_set("string_literal text_block"),
        members={"field_access": "object", "array_access": "array"},
    ),
    "c": Grammar(
        functions=_set("function_definition lambda_expression"),
        declarations={"init_declarator": ("declarator", "value")},
        assigns={"assignment_expression": ("left", "right")},
        calls={"call_expression": ("function", "arguments"), "new_expression": ("type", "arguments")},
        strings=_set("string_literal concatenated_string raw_string_literal"),
        members={"field_expression": "argument", "subscript_expression": "argument", "pointer_expression": "argument"},
    ),
}
GRAMMARS["cpp"] = GRAMMARS["c"]
