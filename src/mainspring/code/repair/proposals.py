"""The questions that a repair puts to a model, and the edits that its answers propose.

Every question is short and asks for little: a weak model writes one line well and a whole file badly. The model
never sees the line that it is asked to write, because it would only copy it.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mainspring.code.repair.source import FunctionSource, code_in_answer, reindented, same_meaning, signature
from mainspring.messages import Message, system, user

Kind = Literal["line", "span", "function"]
_SYSTEM = "You fix bugs in Python code. You answer with code only."
_SUFFIX_LINES, _SPAN_SUFFIX_LINES = 8, 3
_PREFIX_LINES = 40
_MOST_LINES = 14
_LONG_FUNCTION = 45
_SPAN_LINES, _MOST_SPANS = 8, 16
_WORD = re.compile(
    r"""(?P<text>[rbfuRBFU]{0,2}(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))|(?P<comment>\#.*)|(?P<name>[A-Za-z_]\w*)"""
    r"""|(?P<number>\d[\w.]*)|(?P<operator>(?://|\*\*|<<|>>|[-+*/%&|^@<>=!])=?)"""
)
_KEYWORDS = frozenset({"if", "elif", "else", "while", "for", "return", "yield", "with", "as", "lambda", "raise", "del"})


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
        kind: ``"line"`` asks for one line, ``"span"`` for a part of one, ``"function"`` for the whole function.
        line: number of the line in the file.
        attempt: 0 asks for the likeliest answer, more for other ones.
        span: which part of the line, for kind ``"span"``.
    """

    number: int
    suspect: int
    kind: Kind
    line: int = 0
    attempt: int = 0
    span: int = 0

    @property
    def temperature(self) -> float:
        """How freely the model is to answer."""
        return (0.0, 0.7, 0.9, 1.0)[min(self.attempt, 3)]


def questions(suspects: Sequence[Mapping[str, Any]], infill: bool) -> Iterator[Question]:
    """All questions, in the order in which they are put: the likely ones first, then others.

    With `infill` a line or a part of one costs little, so these come first; otherwise whole functions do.
    """
    number = 0
    for kind, index, attempt in _rounds(len(suspects), infill):
        ranked = sorted(suspects[index]["lines"], key=lambda item: (-item[1], item[0]))
        if kind == "function":
            ranked = [[0, 0.0]]
        elif kind == "span":
            ranked = ranked[attempt * _SPAN_LINES : (attempt + 1) * _SPAN_LINES]
        else:
            start = attempt // 2 * _MOST_LINES
            ranked = ranked[start : start + _MOST_LINES] or ranked[:_MOST_LINES]
        for line, _ in ranked:
            for span in range(_MOST_SPANS if kind == "span" else 1):
                yield Question(number, index, kind, line, attempt, span)
                number += 1


def _rounds(suspects: int, infill: bool) -> Iterator[tuple[Kind, int, int]]:
    """Kind of question, suspect and attempt. A suspect further down the list is asked about later."""
    # For each kind: how many rounds it waits, and from which suspect on one more for each.
    waits: dict[Kind, tuple[int, int]] = {"line": (0, 1), "span": (0, 0), "function": (1, 0)}
    if not infill:
        waits = {"function": (0, 1), "line": (1, 0)}
    for now in range(40):
        due: list[tuple[Kind, int, int]] = [
            (kind, index, now - wait - max(0, index - ahead))
            for index in range(suspects)
            for kind, (wait, ahead) in waits.items()
        ]
        # What was never asked comes before what was; a part of a line is no repetition of anything.
        yield from sorted((d for d in due if d[2] >= 0), key=lambda d: (d[2] > 0 and d[0] != "span", d[0] == "span"))


def closer_questions(places: Sequence[tuple[int, int]]) -> Iterator[Question]:
    """Questions about lines where an edit already made some tests pass, given as suspect's index and line number."""
    number = 0
    for suspect, line in dict.fromkeys(places):
        for attempt in range(1, 4):
            yield Question(number, suspect, "line", line, attempt)
            number += 1
        for span in range(_MOST_SPANS):
            yield Question(number, suspect, "span", line, 0, span)
            number += 1
        for attempt in range(4, 10):
            yield Question(number, suspect, "line", line, attempt)
            number += 1


def spans(line: str) -> list[tuple[int, int]]:
    """Parts of a line that a slip may hide in: operands, operators, and the insides of brackets, as columns."""
    words = [m for m in _WORD.finditer(line) if m.lastgroup != "comment" and m.group() not in _KEYWORDS]
    found = [m.span() for m in words if m.group() != "="]
    found += [m.span(1) for m in re.finditer(r"[(\[]([^()\[\]]*,[^()\[\]]*)[)\]]", line)]
    calls = {span for span in found if line[span[1] : span[1] + 1] == "("}
    return sorted(dict.fromkeys(found), key=lambda span: (span in calls, span))[:_MOST_SPANS]


def prompt(tests: Sequence[Mapping[str, Any]]) -> list[Message]:
    """The beginning that all questions of a round share, so that its work is done once: what fails, and how."""
    test = tests[0] if tests else {"source": "", "error": ""}
    text = f"This test fails:\n```python\n{test['source'] or test.get('id', '')}\n```\n{_short(test['error'], 240)}\n"
    return [system(_SYSTEM), user(text)]


def ask_line(
    tests: Sequence[Mapping[str, Any]],
    function: FunctionSource,
    number: int,
    infill: Infill | None,
    span: tuple[int, int] | None = None,
) -> tuple[list[Message], str]:
    """The messages and the beginning of the answer that ask for the line `number` of `function`, or a part of it."""
    shared = prompt(tests)
    before, after = _around(function, number, _SUFFIX_LINES if span is None else _SPAN_SUFFIX_LINES)
    line = function.line(number)
    start, rest = len(line) - len(line.lstrip()), ""
    if span is not None:
        start, rest = span[0], line[span[1] :]
    begun = line[_common_indent(function) : start]
    if infill is not None:
        words = (infill.prefix, infill.suffix, infill.middle)
        before, begun, rest, after = (_without(text, words) for text in (before, begun, rest, after))
        ask = user(shared[1].text + "Fill in the middle of the function.")
        return [shared[0], ask], f"{infill.prefix}{before}\n{begun}{infill.suffix}{rest}\n{after}\n{infill.middle}"
    text = (
        f"{shared[1].text}One line of the function is left out:\n```python\n{before}\n{begun}<LINE>{rest}\n{after}\n"
        "```\nWrite that line so that the test passes. Answer with the line only."
    )
    return [shared[0], user(text)], f"```python\n{begun}"


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


def line_edit(function: FunctionSource, number: int, answer: str, span: tuple[int, int] | None = None) -> str | None:
    """The function's text with the answered line, or part of it, in place; None when that is no sound change."""
    line = function.line(number)
    inside = answer.split("```", 1)[0]
    code = next((row for row in inside.split("\n") if row.strip()), "")
    if span is not None:
        rest = line[span[1] :]
        # A model may go on to the end of the line: with what stands there already, or with an end of its own.
        code = code.removesuffix(rest) if rest.strip() else code
        whole = function.replaced(number, line[: span[0]] + code)
        own_end = ("(" in code or " " in code.strip()) and not _broken(whole)
        code = line[: span[0]] + code + ("" if own_end else rest)
    if not code.strip() or code.strip() == line.strip() or is_comment(code):
        return None
    return _checked(function, function.replaced(number, reindented(code.strip(), line)))


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


def is_comment(code: str) -> bool:
    """True for a line that holds no code."""
    return code.strip().startswith("#")


def _checked(function: FunctionSource, changed: str) -> str | None:
    if _broken(changed) or same_meaning(changed, function.text):
        return None
    return changed


def _broken(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a model wrote may be odd; only whether it compiles counts
            compile(textwrap.dedent(text), "<answer>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return True
    return False


def _undecorated(function: FunctionSource) -> str:
    rows = textwrap.dedent(function.text).split("\n")
    tree = ast.parse("\n".join(rows))
    return "\n".join(rows[getattr(tree.body[0], "lineno", 1) - 1 :])


def _around(function: FunctionSource, number: int, most_after: int) -> tuple[str, str]:
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
    after = [row for n, row in rows if n > number][:most_after]
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
