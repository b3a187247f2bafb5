"""An edit that breaks a file that parsed is not written; one of a broken file may not break it more."""

from __future__ import annotations

import time

import pytest

from mainspring.code.edit import check_syntax
from mainspring.tools.syntax import judge

SOUND = {
    "a.py": "def f(x):\n    return x\n",
    "a.js": "const f = (x) => { return x; };\n",
    "a.jsx": "const f = () => <p>{x}</p>;\n",
    "a.ts": "function f(x: number): number { return x; }\n",
    "a.tsx": "const f = (p: P) => <p>{p.x}</p>;\n",
    "a.go": "package p\n\nfunc f(x int) int { return x }\n",
    "a.rs": "fn f(x: i32) -> i32 { x }\n",
    "A.java": "class A { int f(int x) { return x; } }\n",
    "a.c": "int f(int x) { return x; }\n",
    "a.cpp": "template<class T> T f(T x) { return x; }\n",
    "a.h": "class K { public: int f(); };\n",
    "a.json": '{"a": [1, 2]}\n',
    "a.toml": 'a = 1\n[b]\nc = "d"\n',
    "a.yaml": "a:\n  - 1\n  - b: 2\n",
}
BROKEN = {
    "a.py": ("def f(x):\nreturn x\n", "line 2: expected an indented block after function definition on line 1"),
    "a.js": ("const f = (x) => { return x; ;\n", "line 1: "),
    "a.jsx": ("const f = () => <p>{x}</q;\n", "line 1: "),
    "a.ts": ("function f(x: number): number { return x;\n", "line 1: '}' is missing"),
    "a.tsx": ("const f = (p: P) => <p>{p.x</p>;\n", "line 1: "),
    "a.go": ("package p\n\nfunc f(x int) int { return x \n", "line "),
    "a.rs": ("fn f(x: i32) -> i32 { x \n", "line "),
    "A.java": ("class A { int f(int x) { return x; }\n", "line "),
    "a.c": ("int f(int x) { return x;\n", "line "),
    "a.cpp": ("template<class T> T f(T x { return x; }\n", "line 1: "),
    "a.json": ('{"a": [1, 2}\n', "line 1: Expecting ',' delimiter"),
    "a.toml": ("a = 1\n[b\n", "line 2: "),
    "a.yaml": ("a:\n  - 1\n b: 2\n", "line 3: "),
}


@pytest.mark.parametrize("path", SOUND)
def test_sound_files_pass(path: str) -> None:
    assert check_syntax(path, SOUND[path].encode()) is None
    assert check_syntax(path, SOUND[path].replace("\n", "\r\n").encode("utf-8-sig")) is None


@pytest.mark.parametrize("path", BROKEN)
def test_what_breaks_a_file_is_refused_with_the_line(path: str) -> None:
    text, why = BROKEN[path]
    said = check_syntax(path, text.encode())
    assert said is not None
    assert why in said
    assert "\n>" in said
    verdict = judge(path, SOUND[path].encode(), text.encode())
    assert verdict.refusal is not None
    assert verdict.refusal.startswith(f"not written, since {path} would not parse any more: line ")
    assert judge(path, text.encode(), SOUND[path].encode()).refusal is None
    # Broken before, and no more broken afterwards: allowed, and said.
    again = judge(path, text.encode(), text.replace("1", "3").encode())
    assert again.refusal is None
    assert "did not parse before either" in (again.warning or "")
    # A new file may be broken (a test may need one), and that is said.
    new = judge(path, None, text.encode())
    assert new.refusal is None
    assert (new.warning or "").startswith("warning: this file does not parse: line ")


def test_a_broken_file_may_not_get_more_broken() -> None:
    before = b"f(;\nx = 1;\ny = 2;\n"
    after = b"f(;\nx = 1;\nfunction (;\ny = } 2;\n"
    assert "broken places instead of" in (judge("a.js", before, after).refusal or "")


@pytest.mark.parametrize(
    "text",
    [
        "type X = int\n",
        "def f[T](x: T) -> T:\n    return x\n",
        "print(f'{x['a']}')\n",
        "try:\n    pass\nexcept* E:\n    pass\n",
        "match x:\n    case 1:\n        pass\n",
        "x = '\\d'\n",
        "\N{BYTE ORDER MARK}x = 1\n",
    ],
)
def test_newer_python_is_no_error(text: str) -> None:
    assert judge("a.py", b"x = 1\n", text.encode()).refusal is None


def test_a_macro_in_c_is_warned_of_and_not_refused() -> None:
    before = b"void g(void) { }\n"
    after = b"void g(void) { EACH(x, list) { h(x); } FOO }\n"
    verdict = judge("a.c", before, after)
    assert verdict.refusal is None
    assert (verdict.warning or "").startswith("warning: this may not parse: line 1: ")


def test_what_is_not_known_passes() -> None:
    for path, data in (
        ("a.txt", b"(("),
        ("Makefile", b"(("),
        ("a.py", b"(\0("),
        ("a.py", b"(" * (5 << 20)),
        ("chart.yaml", b"a: {{ .Values.x }}\nb: [\n"),
        ("a.py.bak", b"(("),
    ):
        assert check_syntax(path, data) is None


def test_deep_nesting_and_odd_bytes_are_survived() -> None:
    assert check_syntax("a.py", b"x = " + b"(" * 5000 + b"1" + b")" * 5000 + b"\n") is None
    assert check_syntax("a.json", b"[" * 100_000 + b"]" * 100_000) is None
    assert check_syntax("a.py", b"# \xff\xe9\nx = '\xe9'\n") is None
    assert check_syntax("a.js", b"[" * 20_000) is not None


def test_a_usual_file_takes_milliseconds() -> None:
    text = ("def f(a):\n    return [a for a in range(10) if a]\n\n\n" * 500).encode()
    check_syntax("a.py", text)  # the grammar is loaded
    began = time.perf_counter()
    for _ in range(5):
        assert judge("a.py", text, text + b"x = 1\n").refusal is None
    assert (time.perf_counter() - began) / 5 < 0.2
