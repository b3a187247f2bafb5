# ruff: noqa: E501 - a program a line
"""The language of code mode means what Python means: the same programs, in our interpreter and in Python's."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mainspring.guard.program import Failed, Finished, Program, ProgramError, ProgramLimits
from mainspring.value import Value

PROGRAMS = [
    "1 + 2 * 3 - 4 // 3 + 7 % 4 + 2 ** 5 - (6 / 4)",
    "-7 // 2, -7 % 3, 7.5 // 2, 1e3, 0x1F, True + True",
    "5 & 3, 5 | 3, 5 ^ 3, 1 << 10, 1024 >> 3, ~5, +True",
    "'a' + 'b' * 3 + 3 * 'c'",
    "[1, 2] + [3], [0] * 3, (1,) + (2, 3), 2 * (1,)",
    "1 < 2 < 3, 1 < 2 > 3, 3 == 3.0, 'a' < 'b', [1, 2] < [1, 3], (1, 'a') == (1, 'a')",
    "x = 1\n1 in [1, 2], 'b' in 'abc', 'k' in {'k': 1}, 3 not in (1, 2), None is None, x is not None",
    "not [], not 'x', not 0, bool({}), bool(()), bool(set()), bool({1})",
    "0 or [] or 'x', 1 and 2 and 0 and 3, None or 0",
    "'yes' if [1] else 'no'",
    "a, b = 1, 2\na, b = b, a\n(a, b)",
    "a, (b, *c), d = 1, [2, 3, 4], 'x'\n(a, b, c, d)",
    "*a, b = 'hello'\n(a, b)",
    "a = b = [1]\nb.append(2)\na",
    "a = [1]\nb = a\na += [2]\nb",
    "a = (1,)\nb = a\na += (2,)\n(a, b)",
    "d = {'a': [1]}\nd['a'] += [2]\nd['n'] = 1\nd['n'] *= 7\nd",
    "x = [[0] * 2] * 2\nx[0][1] = 5\nx",
    "d = {}\nd[1, 2] = 'pair'\nd[True] = 'one'\nd[1.0] = 'same'\nd",
    "del_me = [1, 2, 3]\ndel del_me[1]\nd = {'a': 1, 'b': 2}\ndel d['a']\n(del_me, d)",
    "x = list(range(10))\n(x[2:5], x[::-1], x[-3:], x[:100], x[8:2:-2], 'hello'[1:3], 'hello'[::-1], (1, 2, 3)[1:])",
    "t = 0\nfor i in range(10):\n    if i == 3:\n        continue\n    if i == 7:\n        break\n    t += i\nelse:\n    t = -1\nt",
    "t = 0\nfor i in range(3):\n    t += i\nelse:\n    t += 100\nt",
    "n = 10\nout = []\nwhile n:\n    n -= 3\n    if n < 0:\n        break\n    out.append(n)\nelse:\n    out.append('end')\nout",
    "n = 3\nwhile n > 0:\n    n -= 1\nelse:\n    n = 'done'\nn",
    "out = []\nfor a in range(3):\n    for b in range(3):\n        if b > a:\n            break\n        out.append((a, b))\nout",
    "x = [1, 2, 3]\nfor i in x:\n    if i < 3:\n        x.append(i + 10)\nx",
    "def f(a, b=2, c='x'):\n    return (a, b, c)\n(f(1), f(1, c=3), f(b=1, a=2), f(1, 2, 3))",
    "def f(n):\n    return 1 if n < 2 else n * f(n - 1)\nf(20)",
    "def outer(x):\n    def inner(y):\n        return x + y\n    return inner\nouter(3)(4)",
    "def f():\n    for i in range(5):\n        for j in range(5):\n            if i * j == 6:\n                return (i, j)\nf()",
    "def f():\n    pass\nf()",
    "fs = [lambda x, k=k: x * k for k in range(3)]\n[f(10) for f in fs]",
    "(lambda: 5)()",
    "x = 1\ndef f():\n    return x\nx = 2\nf()",
    "def even(n):\n    return True if n == 0 else odd(n - 1)\ndef odd(n):\n    return False if n == 0 else even(n - 1)\neven(10)",
    "[x * y for x in range(4) if x % 2 for y in range(3) if y]",
    "x = 'outer'\n[x for x in range(3)], x",
    "[[y for y in range(x)] for x in range(4)]",
    "{k: v for k, v in zip('abc', [1, 2, 3])}",
    "sorted({x % 3 for x in range(10)})",
    "sum(x * x for x in range(10))",
    "[a + b for a, b in [(1, 2), (3, 4)]]",
    "x = 3.14159\nn = 42\ns = 'hi'\nf'{x:.2f} {n:>6} {n:06d} {s!r} {s:^8}| {n:,} {n:x} {x!s} {{}} {None} {[1, s]} {n + 1}'",
    "f'{1000000:,} {0.256:.1%} {True} {\"q\"}'",
    "f'{1 + 1=}'",
    "f''",
    "'a,b,,c'.split(','), ' a  b '.split(), 'a-b-c'.split('-', 1), 'a-b-c'.rsplit('-', 1), 'x'.split(sep=None, maxsplit=-1)",
    "'  x '.strip(), 'xxax'.strip('x'), 'Abc'.lower(), 'abc'.upper(), 'a b'.title(), 'abc'.capitalize(), 'ß'.casefold()",
    "'hello'.find('l'), 'hello'.find('z'), 'hello'.rfind('l'), 'hello'.count('l'), 'hello'.index('e')",
    "'hello'.startswith('he'), 'hello'.endswith(('x', 'lo')), 'hello'.replace('l', 'L'), 'hello'.replace('l', 'L', 1)",
    "'-'.join(['a', 'b']), ''.join('xyz'), 'a\\nb'.splitlines(), 'k=v=w'.partition('='), 'k=v'.rpartition('=')",
    "'12'.isdigit(), 'ab'.isalpha(), 'a1'.isalnum(), ' '.isspace(), 'A'.isupper(), '7'.zfill(3), 'x'.ljust(3) + '|', 'x'.rjust(3), 'x'.center(5, '*')",
    "'prefix-x'.removeprefix('prefix-'), 'x.py'.removesuffix('.py')",
    "x = [3, 1, 2]\nx.sort()\ny = x.copy()\nx.sort(key=lambda v: -v)\nx.insert(1, 9)\np = x.pop()\nq = x.pop(0)\nx.extend((7, 8))\nx.remove(9)\nx.reverse()\n(x, y, p, q, x.index(7), x.count(8))",
    "x = [1, 2]\nx.clear()\nx",
    "d = {'a': 1}\nd.update({'b': 2})\n(d.get('a'), d.get('z'), d.get('z', 5), list(d.keys()), list(d.values()), list(d.items()), d.pop('a'), d.pop('q', None), d.setdefault('c', 3), d)",
    "{**{'a': 1}, 'b': 2, **{'a': 3}}, [*range(3), *'ab'], (*[1], 2), sorted({*[1, 2], 2})",
    "{'a': 1} | {'b': 2}",
    "a = {1, 2, 3}\nb = {2, 3, 4}\n(sorted(a | b), sorted(a & b), sorted(a - b), sorted(a ^ b), a <= a, {2} < a, a == {3, 2, 1}, sorted(a.union([9])), a.issubset([1, 2, 3, 4]))",
    "s = {1}\ns.add(2)\ns.discard(5)\ns.remove(1)\ns.update([7])\nsorted(s)",
    "max([3, 1, 2]), min(3, 1), max('abc'), max([], default=0), max(['aa', 'b'], key=len), min([(2, 'a'), (1, 'b')])",
    "sorted(['b', 'A', 'c'], key=lambda s: s.lower(), reverse=True), sorted((3, 1)), sorted('hello')",
    "sorted([(1, 'b'), (0, 'z'), (1, 'a')], key=lambda p: p[0], reverse=True)",
    "sum([1, 2.5]), sum([[1], [2]], []), any([0, 1]), all([]), abs(-3.5), round(2.5), round(2.675, 2), round(1234, -2)",
    "len('abc'), len([1]), len({}), len(range(7)), len({1, 2})",
    "list(range(2, 10, 3)), list(range(5, 0, -2)), list(enumerate('ab', 1)), list(zip([1, 2], 'abc')), list(reversed([1, 2]))",
    "list(map(lambda x: x + 1, [1, 2])), list(map(str, [1, None])), list(map(lambda a, b: a * b, [1, 2], [3, 4])), list(filter(None, [0, 1, '', 'a'])), list(filter(lambda x: x > 1, [1, 2]))",
    "int('12'), int(3.9), int(True), float('2.5'), float(2), str(1.0), str(None), str([1, 'a']), str({'k': (1,)}), str(('x',))",
    "list('ab'), tuple([1]), dict([('a', 1)]), dict(a=1, b=2), dict({'x': 1}, y=2), sorted(set([1, 1]))",
    "isinstance(1, int), isinstance(True, int), isinstance('a', (int, str)), isinstance([], list), isinstance({}, dict), isinstance(1.0, int)",
    "next((x for x in [1, 5, 9] if x > 3), None), next((x for x in [1] if x > 3), 'none')",
    "try:\n    x = 1 / 0\nexcept ZeroDivisionError:\n    x = 'zero'\nx",
    "try:\n    x = {}['a']\nexcept (ValueError, KeyError):\n    x = 'key'\nelse:\n    x = 'else'\nx",
    "try:\n    x = 1\nexcept Exception:\n    x = 2\nelse:\n    x = 3\nx",
    "out = []\nfor v in ['1', 'x', '3']:\n    try:\n        out.append(int(v))\n    except ValueError:\n        continue\nout",
    "def f(v):\n    try:\n        return int(v)\n    except ValueError:\n        return -1\n[f('5'), f('q')]",
    "try:\n    try:\n        [][0]\n    except KeyError:\n        x = 'no'\nexcept IndexError:\n    x = 'outer'\nx",
    "try:\n    raise ValueError('bad')\nexcept ValueError as e:\n    x = str(e)\nx",
    "for i in range(3):\n    try:\n        if i == 1:\n            break\n    except ValueError:\n        pass\ni",
    "x = 5\nassert x == 5, 'never'\nx",
    "x: int = 3\nx",
    "'''a comment'''\npass\n7",
    "x = 1\nif x == 0:\n    y = 'a'\nelif x == 1:\n    y = 'b'\nelse:\n    y = 'c'\ny",
    "1 == True, 'a' == 1, [1] != (1,), {'a': 1} == {'a': 1.0}, None == 0",
    "float('inf') > 10 ** 30, -float('inf') < 0",
    "x = 10\nx -= 3\nx //= 2\nx **= 3\nx %= 20\nx",
    "(1, 2)[-1], [1, 2, 3][True], 'abc'[-2]",
    "'a' 'b' + \"c\"",
    "d = {'x': {'y': [10, 20]}}\nd['x']['y'][1]",
    "total = 0\ndef add(n):\n    out.append(n)\nout = []\nadd(3)\nadd(4)\nout",
    "def f(xs):\n    return sorted(xs, key=lambda x: table[x])\ntable = {'a': 2, 'b': 1}\nf(['a', 'b'])",
    "(lambda a, b=2: a + b)(1)",
    "[i for i in range(20) if 3 < i <= 7 and i != 5 or i == 19]",
]

ERRORS = [
    "1 / 0",
    "[][0]",
    "{}['a']",
    "'a' + 1",
    "int('x')",
    "None + 1",
    "for x in 5:\n    pass",
    "a, b = [1]",
    "[1, 'a'].sort()",
    "sorted([1, None])",
    "{[]: 1}",
    "'abc'.index('z')",
    "[].pop()",
    "def f(a):\n    return a\nf()",
    "def f(a):\n    return a\nf(1, 2)",
    "def f():\n    y = x2\n    x2 = 1\nf()",
    "len(5)",
    "max([])",
    "'x' < 1",
    "x = 5\nx()",
    "raise ValueError('no')",
    "assert 1 == 2",
    "x = (1, 2)\nx[0] = 3",
    "{1, 2}.remove(7)",
    "[1].remove(7)",
    "[1].index(7)",
    "range(1, 2, 0)",
    "''.join([1])",
    "2.0 ** 5000.0",
    "'a'.split('')",
    "float('q')",
    "round('x')",
    "sum(['a'])",
    "dict([1])",
]


def python_says(source: str) -> Any:
    """What Python itself makes of a program whose last line is an expression: its text, or its error's name."""
    import ast

    tree = ast.parse(source)
    scope: dict[str, Any] = {}
    try:
        if isinstance(tree.body[-1], ast.Expr):
            last = tree.body.pop()
            exec(compile(tree, "<test>", "exec"), scope)
            return str(eval(compile(ast.Expression(last.value), "<test>", "eval"), scope))
        exec(compile(tree, "<test>", "exec"), scope)
    except Exception as error:
        return type(error)
    return None


def ours(source: str, **limits: int) -> Finished | Failed:
    event = Program.parse(source, {}, ProgramLimits(**limits)).start().next()
    assert isinstance(event, Finished | Failed)
    return event


def text_of(source: str) -> str:
    """Rewrites the last expression into its text, so that types and tuples are compared too."""
    import ast

    tree = ast.parse(source)
    last = tree.body[-1]
    assert isinstance(last, ast.Expr)
    tree.body[-1] = ast.Expr(ast.Call(ast.Name("str", ast.Load()), [last.value], []))
    return ast.unparse(ast.fix_missing_locations(tree))


@pytest.mark.parametrize("source", PROGRAMS, ids=range(len(PROGRAMS)))
def test_a_program_means_what_python_means(source: str) -> None:
    event = ours(text_of(source))
    assert isinstance(event, Finished), event
    assert event.value.data == python_says(source)


@pytest.mark.parametrize("source", ERRORS, ids=range(len(ERRORS)))
def test_an_error_is_the_one_that_python_raises(source: str) -> None:
    event = ours(source)
    kind = python_says(source)
    assert isinstance(event, Failed), event
    said = event.details.data.split(": ")[1]
    assert said == kind.__name__ or said in [base.__name__ for base in kind.__mro__], (said, kind)


def test_fields_are_read_by_attribute_or_by_key() -> None:
    program = Program.parse("(v1.sender, v1['sender'], v1.tags[0], len(v1.tags))", {})
    value = Value({"sender": Value("ann"), "tags": Value([Value("a")])})
    event = program.start({"v1": value}).next()
    assert isinstance(event, Finished)
    assert event.value.plain() == ["ann", "ann", "a", 1]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("parse_date('2026-05-31T09:30')", "2026-05-31"),
        ("make_date(2026, 2, 28)", "2026-02-28"),
        ("add_days('2026-02-28', 1)", "2026-03-01"),
        ("add_days('2026-02-28T23:00', -28)", "2026-01-31T23:00:00"),
        ("add_minutes('2026-02-28T23:30', 45)", "2026-03-01T00:15:00"),
        ("weekday('2026-05-31')", 6),
        ("days_between('2026-01-01', '2026-12-25')", 358),
        ("minutes_between('2026-01-01T10:00', '2026-01-01T11:30')", 90.0),
        ("date_parts('2026-05-31T09:30').minute", 30),
        ("sorted(['2026-05-01', '2025-12-31'])[0]", "2025-12-31"),
    ],
)
def test_dates_are_texts(source: str, expected: object) -> None:
    event = ours(source)
    assert isinstance(event, Finished), event
    assert event.value.data == expected


@pytest.mark.parametrize(
    "source",
    [
        "parse_date('soon')",
        "make_date(2026, 2, 30)",
        "add_days('2026-01-01', 10 ** 9)",
        "weekday(5)",
        "minutes_between('2026-01-01T10:00', '2026-01-01T10:00+02:00')",
        "add_days('2026-01-01', 'x')",
        "make_date(float('nan'), 1, 1)",
    ],
)
def test_a_date_that_is_none_is_an_error_of_the_program(source: str) -> None:
    event = ours(f"try:\n    x = {source}\nexcept Exception as e:\n    x = 'caught'\nx")
    assert isinstance(event, Finished), event
    assert event.value.data == "caught"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import os", "nothing can be imported"),
        ("from os import path", "nothing can be imported"),
        ("class A:\n    pass", "there are no classes"),
        ("@f\ndef g():\n    pass", "there are no decorators"),
        ("async def f():\n    pass", "there is no async"),
        ("with open('x') as f:\n    pass", "there is no with"),
        ("def f():\n    yield 1", "there are no generators"),
        ("def f():\n    global x", "functions cannot set outer variables"),
        ("x = (y := 1)", "there is no :="),
        ("match 1:\n    case 1:\n        pass", "there is no match"),
        ("f(*[1])", "* cannot stand in a call"),
        ("print(**{})", "** cannot stand in a call"),
        ("def f(*a):\n    pass", "functions take plain parameters only"),
        ("lambda **k: 1", "functions take plain parameters only"),
        ("x = 1\nx.y = 2", 'fields are set like this: x["y"]'),
        ("x = [1]\nx[0:1] = []", "only names and items"),
        ("del x", "only items can be deleted"),
        ("b'bytes'", "bytes literals are not allowed"),
        ("1j", "complex literals are not allowed"),
        ("x = ...", "ellipsis literals are not allowed"),
        ("'{}'.format(1)", "there is no format(); write an f-string"),
        ("'a'.encode()", "there is no method encode() here"),
        ("opne('x')", "nothing is called 'opne'"),
        ("lenn([1])", "did you mean 'len'?"),
        ("try:\n    pass\nfinally:\n    pass", "there is no finally"),
        ("try:\n    pass\nexcept OSError:\n    pass", "only these errors can be caught"),
        ("raise SystemExit(1)", "only these errors can be raised"),
        ("raise", "write raise ToolError"),
        ("break", "break stands outside a loop"),
        ("for x in []:\n    def f():\n        continue", "continue stands outside a loop"),
        ("1 is 1", "`is` only goes with"),
        ("1 < 2 < 3 < 4", "write this comparison with `and`"),
        ("next([1])", "next() only takes a search"),
        ("print", "print can only be called"),
        ("sorted([1], 2, cmp=3)", "takes no argument 'cmp'"),
        ("x = 1 @ 2", "there is no @"),
        ("f'{1:{2}}'", "this format is not allowed"),
        ("f'{1:99999}'", "this format is not allowed"),
        ("f'{1!a}'", "!a is not allowed"),
        ("x = = 1", "this is no Python"),
        ("[x for x in y]", "nothing is called 'y'"),
        ("9" * 400, "more than 1,024 bits"),
    ],
)
def test_what_is_no_part_of_the_language_is_refused_in_words_that_help(source: str, says: str) -> None:
    with pytest.raises(ProgramError, match=r"line \d+, column \d+: ") as caught:
        Program.parse(source, {})
    assert says.lower() in str(caught.value).lower()


def test_a_number_that_is_none_does_not_leave_the_program() -> None:
    for source in ("float('inf')", "[float('nan')]"):
        event = ours(source)
        assert isinstance(event, Failed)
        assert "must be finite" in event.message
    event = ours("x = float('inf')\nmin(x, 3)")
    assert isinstance(event, Finished)
    assert math.isfinite(event.value.data)


def test_printed_values_are_kept_as_they_were() -> None:
    event = ours("x = [1]\nprint(x)\nx.append(2)\nprint('x is', x)\nprint()")
    assert isinstance(event, Finished)
    assert [v.plain() for v in event.printed] == [[1], ["x is", [1, 2]], []]


def test_a_return_at_the_top_ends_the_program() -> None:
    event = ours("for i in range(10):\n    if i == 4:\n        return {'found': i}\nreturn None")
    assert isinstance(event, Finished)
    assert event.value.plain() == {"found": 4}
