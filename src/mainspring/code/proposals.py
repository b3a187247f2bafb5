"""The questions that a repair puts to a model, and the edits that its answers propose.

Every question is short and asks for little: a weak model writes one line well and a whole file badly. The model
never sees the line that it is asked to write, because it would only copy it.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mainspring.code.source import FunctionSource, code_in_answer, reindented, same_meaning, signature
from mainspring.messages import Message, system, user

Kind = Literal["line", "function"]
_SYSTEM = "You fix bugs in Python code. You answer with code only."
_SUFFIX_LINES = 8
_PREFIX_LINES = 40
_MOST_LINES = 14
_LONG_FUNCTION = 45


@dataclass(frozen=True, slots=True)
class Infill:
    """The control words by which a model is asked to fill a gap between two texts."""

    prefix: str
    suffix: str
    middle: str


#: Known families. A model is asked in this way only when its own vocabulary has the three words.
INFILLS = (
    Infill("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    Infill("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
)


@dataclass(frozen=True, slots=True)
class Question:
    """One question to the model.

    Args:
        number: its place in the order of questions, from 0.
        suspect: index of the suspect that it is about.
        kind: ``"line"`` asks for one line, ``"function"`` for the whole function.
        line: number of the line in the file, for kind ``"line"``.
        attempt: 0 asks for the likeliest answer, more for other ones.
    """

    number: int
    suspect: int
    kind: Kind
    line: int = 0
    attempt: int = 0

    @property
    def temperature(self) -> float:
        """How freely the model is to answer."""
        return (0.0, 0.7, 0.9, 1.0)[min(self.attempt, 3)]


def questions(suspects: Sequence[Mapping[str, Any]], infill: bool) -> Iterator[Question]:
    """All questions, without end, in the order in which they are put: the likely ones first, then others.

    With `infill` a line costs little, so lines come first; otherwise whole functions do.
    """
    number = 0
    for kind, suspect, attempt in _rounds(len(suspects), infill):
        lines = [0]
        if kind == "line":
            ranked = sorted(suspects[suspect]["lines"], key=lambda item: -item[1])
            start = 0 if attempt == 0 else (attempt - 1) % 2 * _MOST_LINES
            chosen = ranked[start : start + _MOST_LINES] or ranked[:_MOST_LINES]
            lines = [n for n, _ in sorted(chosen, key=lambda item: (-item[1], item[0]))]
        for line in lines:
            yield Question(number, suspect, kind, line, attempt)
            number += 1


def _rounds(suspects: int, infill: bool) -> Iterator[tuple[Kind, int, int]]:
    if not suspects:
        return
    first, second = ("line", "function") if infill else ("function", "line")
    for attempt in range(1000):
        for late in range(2):
            for index in range(suspects):
                # A suspect further down the list joins later, by one round for each two places.
                own = attempt - index // 2
                if own < 0:
                    continue
                kind: Kind = first if late == 0 else second  # type: ignore[assignment]
                if kind == second and infill and own == 0 and index > 0:
                    continue
                yield kind, index, own


def prompt(tests: Sequence[Mapping[str, Any]]) -> list[Message]:
    """The beginning that all questions of a round share, so that its work is done once: what fails, and how."""
    test = tests[0] if tests else {"source": "", "error": ""}
    text = f"This test fails:\n```python\n{test['source'] or test.get('id', '')}\n```\n{_short(test['error'], 240)}\n"
    return [system(_SYSTEM), user(text)]


def ask_line(
    tests: Sequence[Mapping[str, Any]], function: FunctionSource, number: int, infill: Infill | None
) -> tuple[list[Message], str]:
    """The messages and the beginning of the answer that ask for the line `number` of `function`."""
    shared = prompt(tests)
    before, after = _around(function, number)
    line = function.line(number)
    indent = line[: len(line) - len(line.lstrip())][_common_indent(function) :]
    if infill is not None:
        words = (infill.prefix, infill.suffix, infill.middle)
        before, after = (_without(text, words) for text in (before, after))
        ask = user(shared[1].text + "Fill in the middle of the function.")
        begin = f"{infill.prefix}{before}\n{indent}{infill.suffix}\n{after}\n{infill.middle}"
        return [shared[0], ask], begin
    text = (
        f"{shared[1].text}One line of the function is left out:\n```python\n{before}\n{indent}<LINE>\n{after}\n```\n"
        "Write that line so that the test passes. Answer with the line only."
    )
    return [shared[0], user(text)], f"```python\n{indent}"


def ask_function(
    tests: Sequence[Mapping[str, Any]], function: FunctionSource, call: str, tried: Sequence[str]
) -> tuple[list[Message], str]:
    """The messages and the beginning of the answer that ask for the whole of `function`."""
    shared = prompt(tests)
    said = f"In this test, {call}.\n" if call else ""
    known = "".join(f"Already tried, does not help: `{line}`\n" for line in tried[-4:])
    text = (
        f"{shared[1].text}{said}The bug is in one line of this function:\n```python\n{function.shown()}\n```\n{known}"
        "Write the corrected function, without its docstring."
    )
    head = textwrap.dedent("\n".join(function.lines)).split("\n")[0]
    return [shared[0], user(text)], f"```python\n{head.split('(')[0]}"


def line_edit(function: FunctionSource, number: int, answer: str) -> str | None:
    """The function's text with the answered line in it; None when that is no change or does not parse."""
    line = function.line(number)
    inside = answer.split("```", 1)[0]
    code = next((row for row in inside.split("\n") if row.strip()), "").strip()
    if not code or code == line.strip():
        return None
    changed = function.replaced(number, reindented(code, line))
    return _checked(function, changed)


def function_edit(function: FunctionSource, begin: str, answer: str) -> str | None:
    """The answered function in place of the old one; None when it does not parse, or is another or the same one.

    Decorators and the docstring are kept as they were, since the model was not asked for them.
    """
    code = code_in_answer(begin + answer)
    if signature(code) is None or signature(code) != signature(_undecorated(function)):
        return None
    node = ast.parse(textwrap.dedent(code)).body[0]
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    rows = textwrap.dedent(code).split("\n")
    head = node.body[0]
    start = head.lineno
    if isinstance(head, ast.Expr) and isinstance(head.value, ast.Constant) and isinstance(head.value.value, str):
        start = (head.end_lineno or head.lineno) + 1
        if len(node.body) == 1:
            return None
    body = "\n".join(rows[start - 1 : node.end_lineno])
    if not body.strip():
        return None
    kept = function.lines[: function.body - function.first]
    inner = function.line(function.body)
    return _checked(function, "\n".join([*kept, reindented(body, inner)]))


def changed_line(old: str, new: str) -> tuple[int, str, str]:
    """The first line in which two texts differ: its index from 0, and both versions, stripped."""
    pairs = list(zip([*old.split("\n"), ""], [*new.split("\n"), ""], strict=False))
    for index, (one, other) in enumerate(pairs):
        if one != other:
            return index, one.strip(), other.strip()
    return 0, "", ""


def too_long(function: FunctionSource) -> bool:
    """True when asking a small model for the whole function would take too long."""
    return len(function.code_lines()) > _LONG_FUNCTION


def _checked(function: FunctionSource, changed: str) -> str | None:
    if _broken(changed) or same_meaning(changed, function.text):
        return None
    return changed


def _broken(text: str) -> bool:
    try:
        compile(textwrap.dedent(text), "<answer>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return True
    return False


def _undecorated(function: FunctionSource) -> str:
    rows = textwrap.dedent(function.text).split("\n")
    tree = ast.parse("\n".join(rows))
    return "\n".join(rows[getattr(tree.body[0], "lineno", 1) - 1 :])


def _around(function: FunctionSource, number: int) -> tuple[str, str]:
    """What stands before and after a line, without common indentation and with only the start of the docstring."""
    common = _common_indent(function)
    skip: range | tuple[()] = ()
    if function.docstring is not None and function.docstring[1] - function.docstring[0] > 9:
        skip = range(function.docstring[0] + 8, function.docstring[1])
    rows = [(n, function.line(n)[common:]) for n in range(function.first, function.last + 1) if n not in skip]
    before = [row for n, row in rows if n < number]
    head = [row for n, row in rows if n < function.body]
    if len(before) - len(head) > _PREFIX_LINES:
        before = [*head, *before[-_PREFIX_LINES:]]
    after = [row for n, row in rows if n > number][:_SUFFIX_LINES]
    return "\n".join(before), "\n".join(after)


def _common_indent(function: FunctionSource) -> int:
    return len(function.lines[0]) - len(function.lines[0].lstrip())


def _without(text: str, words: Sequence[str]) -> str:
    # Source code that holds a model's control words must not end the gap early.
    for word in words:
        text = text.replace(word, word[0] + " " + word[1:])
    return text


def _short(text: str, most: int) -> str:
    text = "\n".join(line for line in text.split("\n") if line.strip() and "Use -v" not in line)
    return text if len(text) <= most else text[: most - 40] + " ... " + text[-35:]
