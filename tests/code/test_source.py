"""Functions as text."""

from __future__ import annotations

import textwrap

import pytest

from mainspring.code.repair.proposals import Infill, ask_line, changed_line, function_edit, line_edit, spans
from mainspring.code.repair.source import all_functions, one_function, statement_lines

FILE = '''import os


class Box:
    @property
    @staticmethod
    def size(a, b=2, *rest):
        """First.

        Last.
        """
        # a remark
        if a:

            return (a +
                    b)
        return b
'''


def box() -> object:
    (found,) = all_functions("box.py", FILE)
    return found


def test_a_method_with_decorators_and_docstring() -> None:
    (found,) = all_functions("box.py", FILE)
    assert (found.name, found.first, found.last) == ("Box.size", 5, 17)
    assert found.docstring == (8, 11)
    assert [found.line(n).strip() for n in found.code_lines()] == ["if a:", "return (a +", "b)", "return b"]


def test_its_lines_alone_give_the_same_function() -> None:
    (found,) = all_functions("box.py", FILE)
    assert one_function("box.py", "Box.size", found.first, found.text) == found
    plain = "def f(x):\n    return x"
    whole = one_function("f.py", "f", 40, plain)
    assert whole is not None
    assert (whole.first, whole.last, whole.body) == (40, 41, 41)
    assert one_function("f.py", "f", 1, "x = 1\ny = 2") is None
    assert one_function("f.py", "f", 1, "def f(:\n    pass") is None
    assert one_function("f.py", "f", 1, plain + "\n\n\ndef g():\n    pass") is None


def test_lines_of_a_statement_belong_to_its_first_line() -> None:
    owner = statement_lines(FILE)
    assert owner[16] == owner[15] == 15
    assert owner[13] == 13


def test_a_line_is_put_in_place_with_its_indentation() -> None:
    (found,) = all_functions("box.py", FILE)
    changed = line_edit(found, 17, "return a\n")
    assert changed is not None
    assert changed.endswith("\n        return a")
    assert changed_line(found.text, changed) == (12, "return b", "return a")


@pytest.mark.parametrize("answer", ["return b", "  return  b", "", "\n\n", "return (", "# return a", "```"])
def test_an_answer_that_changes_nothing_or_does_not_parse_is_refused(answer: str) -> None:
    (found,) = all_functions("box.py", FILE)
    assert line_edit(found, 17, answer) is None


def test_a_part_of_a_line_is_put_in_place() -> None:
    found = one_function("f.py", "f", 1, "def f(word):\n    word = word.replace(' ', '_')\n    return word")
    assert found is not None
    line = found.line(2)
    parts = {line[a:b]: (a, b) for a, b in spans(line)}
    assert set(parts) == {"word", "' '", "'_'", "' ', '_'", "replace"}
    swapped = line_edit(found, 2, "'_', ' '", parts["' ', '_'"])
    assert swapped is not None
    assert "word.replace('_', ' ')\n" in swapped
    # Written on to the end of the line, with what stands there or with an end of its own.
    assert line_edit(found, 2, "'_', ' ')", parts["' ', '_'"]) == swapped
    first = line.index("word.")
    assert line_edit(found, 2, "word.replace('_', ' ')", (first, first + 4)) == swapped


def test_a_function_keeps_its_docstring_and_decorators() -> None:
    (found,) = all_functions("box.py", FILE)
    begin = "```python\ndef size"
    changed = function_edit(found, begin, "(a, b=2, *rest):\n    if not a:\n        return b\n    return a + b\n```")
    assert changed is not None
    assert changed.startswith('    @property\n    @staticmethod\n    def size(a, b=2, *rest):\n        """First.')
    assert changed.endswith("        if not a:\n            return b\n        return a + b")
    assert function_edit(found, begin, "(a, c):\n    return a\n```") is None
    assert function_edit(found, "", "I do not know.") is None
    assert function_edit(found, "```python\n", textwrap.dedent(found.text)) is None


def test_a_gap_hides_the_line_and_control_words_in_the_source_are_broken_up() -> None:
    infill = Infill("<|p|>", "<|s|>", "<|m|>")
    source = "def f(x):\n    y = '<|m|>'\n    z = x - y\n    return z"
    found = one_function("f.py", "f", 1, source)
    assert found is not None
    tests = [{"id": "t", "source": "assert f(1) == 2", "error": "AssertionError"}]
    messages, begin = ask_line(tests, found, 3, infill)
    assert "assert f(1) == 2" in messages[-1].text
    assert begin == "<|p|>def f(x):\n    y = '< |m|>'\n    <|s|>\n    return z\n<|m|>"
    assert "x - y" not in messages[-1].text + begin
    plain, begin = ask_line(tests, found, 3, None)
    assert "x - y" not in plain[-1].text
    assert begin == "```python\n    "
