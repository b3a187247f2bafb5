"""Properties of code mode that hold for any program: Python's results, labels that never fall, the same again."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mainspring.guard.program import Failed, Finished, Program, ToolRequest
from mainspring.label import Label, tool_label
from mainspring.value import Value

# Generated programs do silly things, of which Python warns.
pytestmark = pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")

NAMES = ("a", "b", "c")
NUMBERS = st.integers(-20, 20).map(str)
TEXTS = st.sampled_from(["''", "'x'", "'a,b'", "'12'", "'Zed'"])


def expressions(depth: int) -> st.SearchStrategy[str]:
    """Expressions over the variables a, b and c, many of which fail."""
    leaf = st.one_of(NUMBERS, TEXTS, st.sampled_from([*NAMES, "[]", "None", "True", "[1, 2, 3]", "{'x': 1}"]))
    if depth == 0:
        return leaf
    below = expressions(depth - 1)
    return st.one_of(
        leaf,
        st.tuples(below, st.sampled_from(["+", "-", "*", "//", "%", "/", "&", "|"]), below).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        st.tuples(below, st.sampled_from(["==", "!=", "<", "<=", "in", "not in"]), below).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        st.tuples(below, st.sampled_from(["and", "or"]), below).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(below, below, below).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
        st.tuples(below, below).map(lambda t: f"[{t[0]}, {t[1]}]"),
        st.tuples(below, below).map(lambda t: f"({t[0]}, {t[1]})"),
        st.tuples(below, below).map(lambda t: f"{{'k': {t[0]}, 'l': {t[1]}}}"),
        st.tuples(below, below).map(lambda t: f"{t[0]}[{t[1]}]"),
        st.tuples(below, NUMBERS, NUMBERS).map(lambda t: f"{t[0]}[{t[1]}:{t[2]}]"),
        st.tuples(
            st.sampled_from(["len", "str", "int", "sorted", "list", "sum", "max", "min", "bool", "abs", "not "]), below
        ).map(lambda t: f"{t[0]}({t[1]})"),
        below.map(lambda e: f"f'<{{{e}}}>'" if "'" not in e else e),
        st.tuples(below, below).map(lambda t: f"[{t[0]} for x in {t[1]} if x]"),
        st.tuples(below, st.sampled_from(["upper()", "split(',')", "strip()", "isdigit()"])).map(
            lambda t: f"{t[0]}.{t[1]}"
        ),
        below.map(lambda e: f"list(map(lambda n: (n, {e}), [1, 2]))"),
    )


def blocks(depth: int) -> st.SearchStrategy[list[str]]:
    """Statements, as lines without their indentation."""
    value = expressions(2)
    simple = st.one_of(
        st.tuples(st.sampled_from(NAMES), value).map(lambda t: [f"{t[0]} = {t[1]}"]),
        st.tuples(st.sampled_from(NAMES), st.sampled_from(["+=", "-=", "*="]), value).map(
            lambda t: [f"{t[0]} {t[1]} {t[2]}"]
        ),
        st.tuples(st.sampled_from(NAMES), value).map(lambda t: [f"{t[0]}.append({t[1]})"]),
        st.tuples(st.sampled_from(NAMES), value, value).map(lambda t: [f"{t[0]}[{t[1]}] = {t[2]}"]),
        st.tuples(value, value).map(lambda t: [f"a, b = {t[0]}, {t[1]}"]),
    )
    if depth == 0:
        return st.lists(simple, min_size=1, max_size=3).map(lambda found: [line for block in found for line in block])
    inside = blocks(depth - 1).map(lambda lines: [f"    {line}" for line in lines])
    compound = st.one_of(
        st.tuples(value, inside, inside).map(lambda t: [f"if {t[0]}:", *t[1], "else:", *t[2]]),
        st.tuples(value, inside, st.sampled_from(["break", "continue", "pass"])).map(
            lambda t: [f"for c in {t[0]}:", *t[1], f"    if c == 2:\n        {t[2]}".replace("\n", "\n    ")]
        ),
        st.tuples(inside, inside).map(lambda t: ["try:", *t[0], "except (TypeError, ValueError, LookupError):", *t[1]]),
        st.tuples(NUMBERS, inside).map(lambda t: ["def f(a, b=2):", *t[1], "    return [a, b]", f"c = f({t[0]})"]),
    )
    return st.lists(st.one_of(simple, compound), min_size=1, max_size=4).map(
        lambda found: [line for block in found for line in block]
    )


def lines_of(lines: list[str]) -> str:
    return "\n".join(["a = 1", "b = 'two'", "c = [3, 4]", *lines, "str([a, b, c])"])


def indented(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


PROGRAMS = blocks(2).map(lines_of).filter(indented)


def python_says(source: str) -> Any:
    tree = ast.parse(source)
    last = tree.body.pop()
    assert isinstance(last, ast.Expr)
    scope: dict[str, Any] = {}
    try:
        exec(compile(tree, "<test>", "exec"), scope)
        return eval(compile(ast.Expression(last.value), "<test>", "eval"), scope)
    except Exception as error:
        return type(error)


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@settings(max_examples=400, deadline=None)
@given(PROGRAMS)
@example("a = 'two' * (0 == '')\nb = (1 == 1) * [2]\nstr([a, b])")
def test_any_program_means_what_python_means(source: str) -> None:
    event = Program.parse(source, {}).start().next()
    expected = python_says(source)
    if isinstance(event, Finished):
        assert event.value.data == expected, source
        return
    assert isinstance(event, Failed)
    kind = event.details.data.split(": ")[1]
    if "more than" in event.message or "nested deeper" in event.message:
        return  # a limit that Python has not
    assert isinstance(expected, type), (source, event, expected)
    assert kind in [base.__name__ for base in expected.__mro__], (source, event, expected)


LABELS = {name: tool_label(name) for name in NAMES}

STRICT = expressions(3).filter(indented)


@settings(max_examples=300, deadline=None)
@given(STRICT, st.integers(-5, 5), st.sampled_from(["", "x", "12"]))
def test_a_result_has_the_labels_of_all_that_it_was_computed_from(source: str, number: int, text: str) -> None:
    """Whatever can change a result is in its label, as its author or as one who chose."""
    handles = {"v1": Value(number, LABELS["a"]), "v2": Value(text, LABELS["b"]), "v3": Value(7, LABELS["c"])}
    event = Program.parse(f"a, b, c = v1, v2, v3\n{source}", {}).start(handles).next()
    found = event.value.whole_label if isinstance(event, Finished) else None
    if found is None:
        return
    # What matters is found by trying: another value in one of the three that changes the result has a part in it.
    for name, handle, other in (("a", "v1", number + 3), ("b", "v2", text + "q"), ("c", "v3", 8)):
        changed = handles | {handle: Value(other, handles[handle].label)}
        again = Program.parse(f"a, b, c = v1, v2, v3\n{source}", {}).start(changed).next()
        if isinstance(again, Finished) and again.value.plain() != event.value.plain():
            sources = found.sources | again.value.whole_label.sources
            assert f"tool:{name}" in sources or f"steered:tool:{name}" in sources, (source, found)


STEPS = st.lists(
    st.sampled_from(
        [
            "x = ask(q=x)",
            "x = [ask(q=i) for i in range(2)]",
            "x = ask(q=str(x)) if ask(q='c') else x",
            "y.append(x)",
            "x = f'{x}'",
            "for i in range(2):\n    y.append(ask(q=i))",
            "try:\n    x = int(ask(q=1))\nexcept ValueError as e:\n    x = e",
            "x = sorted({str(ask(q=n)) for n in 'ab'})",
            "x = {str(v): ask(q=v) for v in y[:2]}",
        ]
    ),
    max_size=6,
)
ANSWERS = st.lists(st.one_of(st.integers(-3, 3), st.sampled_from(["", "7", "x"])), min_size=40, max_size=40)


@settings(max_examples=100, deadline=None)
@given(STEPS, ANSWERS, st.integers(0, 30))
def test_after_a_crash_the_same_answers_lead_to_the_same_requests(lines: list[str], data: list[Any], kill: int) -> None:
    source = "\n".join(["x = 0", "y = []", *lines, "str([x, y])"])
    given_answers = [Value(d, tool_label("ask") if n % 2 else Label()) for n, d in enumerate(data)]

    def play(upto: int) -> list[Any]:
        run = Program.parse(source, {"ask": ("q",)}).start()
        events: list[Any] = [run.next()]
        for answer in given_answers[:upto]:
            if not isinstance(events[-1], ToolRequest):
                break
            events.append(run.next(answer))
        return events

    whole = play(len(given_answers))
    assert play(kill) == whole[: kill + 1]
    assert play(len(given_answers)) == whole
