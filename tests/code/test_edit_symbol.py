"""Whole definitions replaced, removed and added in every language, with what stands before them kept."""

from __future__ import annotations

import asyncio
import random
import textwrap
import time
from pathlib import Path

import pytest

from mainspring import ToolContext
from mainspring.code.edit import change_symbol, edit_tools, plan_symbol
from mainspring.code.edit.symbols import definitions
from mainspring.errors import ToolError

PYTHON = '''\
import os


# about f
@cache
def f(a):
    return a


class A:
    """Doc."""

    x = 1

    # note
    @property
    def v(self):
        return 1

    @v.setter
    def v(self, n):
        self.n = n

    def g(self):
        return """a
  b
"""


Y = 2
'''
TYPESCRIPT = """\
// doc
@Dec()
export class A {
\tx: number = 1;

\t/** m */
\tfoo(a: string): void {
\t\treturn;
\t}
}

export const g = (a) => {
\treturn 1;
};
function o(a: string): void;
function o(a: any) {}
"""
RUST = """\
/// doc
#[derive(Debug)]
pub struct S { a: i32 }

impl<T> Show for S<T> {
    /// m
    #[inline]
    fn m(&self) -> i32 { 1 }
    fn n(&self) {}
}
impl Other {
    fn m(&self) {}
}
"""
GO = "package p\n\n// F does.\nfunc F() {\n\treturn\n}\n\nfunc (r *T[K]) M() {}\n\ntype (\n\tA struct{ x int }\n)\n"
JAVA = """\
/** doc */
@Ann(1)
public class A {
  @Override
  public int f(int a) { return a; }
  int f(String s) { return 0; }
  class B { void g() {} }
}
"""
CPP = """\
namespace n {
class K {
public:
  K();
  int m() const { return 1; }
};
template<class T> T f(T a) { return a; }
int K::z(int b) { return b; }
}
"""
C = "struct X {int a;};\r\nint f(int a);\r\n// why\r\nint f(int a)\r\n{\r\n    return a;\r\n}\r\n"


def refused(path: str, text: str, name: str, code: str, where: str = "replace") -> str:
    with pytest.raises(ToolError) as caught:
        change_symbol(path, text, name, code, where)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "text", "name", "code", "old", "new"),
    [
        # Two spaces become the file's four; comment and decorator stay.
        (
            "a.py", PYTHON, "f", "def f(a, b):\n  if a:\n    return b\n  return 1",
            "def f(a):\n    return a\n", "def f(a, b):\n    if a:\n        return b\n    return 1\n",
        ),
        ("a.py", PYTHON, "f", "@other(1)\ndef f(a):\n    return 3", "@cache\ndef f(a):\n    return a",
         "@other(1)\ndef f(a):\n    return 3"),
        ("a.py", PYTHON, "f", "# new\n\ndef f(a): ...", "def f(a):\n    return a", "def f(a): ..."),
        ("a.py", PYTHON, "f", "# new\ndef f(a): ...", "# about f\n@cache\ndef f(a):\n    return a",
         "# new\n@cache\ndef f(a): ..."),
        # The lines of a string are not indented along; those of a docstring are.
        ("a.py", PYTHON, "A.g", "def g(self):\n    '''D.\n\n    e\n    '''\n    return '''q\n  z\n'''",
         '    def g(self):\n        return """a\n  b\n"""',
         "    def g(self):\n        '''D.\n\n        e\n        '''\n        return '''q\n  z\n'''"),
        # Copied with its own indentation, and copied from behind the first one.
        ("a.py", PYTHON, "g", "    def g(self):\n        return 7\n",
         '        return """a\n  b\n"""', "        return 7"),
        ("a.py", PYTHON, "g", "def g(self):\n        return 7\n", '        return """a\n  b\n"""', "        return 7"),
        ("a.py", PYTHON, "A.v:15", "def v(self):\n    return 2", "        return 1\n", "        return 2\n"),
        ("a.py", PYTHON, "A.x", "x: int = 5", "x = 1", "x: int = 5"),
        ("a.py", PYTHON, "Y", "Y = [\n    1,\n]", "Y = 2", "Y = [\n    1,\n]"),
        (
            "a.ts", TYPESCRIPT, "A.foo",
            "foo(b: number): void {\n  const x = `a\n  b`;\n  if (b) {\n    return;\n  }\n}",
            "foo(a: string): void {\n\t\treturn;\n\t}",
            "foo(b: number): void {\n\t\tconst x = `a\n  b`;\n\t\tif (b) {\n\t\t\treturn;\n\t\t}\n\t}",
        ),
        ("a.ts", TYPESCRIPT, "g", "const g = (a, b) => {\n  return 2;\n};",
         "(a) => {\n\treturn 1;", "(a, b) => {\n\treturn 2;"),
        ("a.ts", TYPESCRIPT, "o", "function o(a: any) { return 1; }", "o(a: any) {}", "o(a: any) { return 1; }"),
        ("a.rs", RUST, "S::m", "/// new\nfn m(&self) -> i32 {\n    2\n}",
         "    /// m\n    #[inline]\n    fn m(&self) -> i32 { 1 }",
         "    /// new\n    #[inline]\n    fn m(&self) -> i32 {\n        2\n    }"),
        ("a.rs", RUST, "S", "pub struct S;", "pub struct S { a: i32 }", "pub struct S;"),
        ("a.go", GO, "T.M", "func (r *T[K]) M() {\n    if x {\n        y()\n    }\n}",
         "M() {}", "M() {\n\tif x {\n\t\ty()\n\t}\n}"),
        ("a.go", GO, "A", "A struct{ y int }", "A struct{ x int }", "A struct{ y int }"),
        ("A.java", JAVA, "A.f:5", "public int f(int a) {\n    return a + 1;\n}", "{ return a; }",
         "{\n    return a + 1;\n  }"),
        ("A.java", JAVA, "B.g", "void g() { h(); }", "void g() {}", "void g() { h(); }"),
        ("a.c", C, "f", "int f(int a)\n{\n    return 2;\n}", "return a;", "return 2;"),
        ("a.c", C, "X", "struct X {int b;}", "int a;}", "int b;}"),
        ("a.cpp", CPP, "K::z", "int K::z(int b) { return 3; }", "return b;", "return 3;"),
        ("a.cpp", CPP, "n.f", "template<class T> T f(T a) { return -a; }",
         "T f(T a) { return a; }", "T f(T a) { return -a; }"),
        ("a.cpp", CPP, "K.m", "int m() const { return 2; }", "return 1;", "return 2;"),
    ],
)  # fmt: skip
def test_a_definition_is_replaced_and_nothing_else(
    path: str, text: str, name: str, code: str, old: str, new: str
) -> None:
    if "\r\n" in text:
        old, new = (piece.replace("\n", "\r\n") for piece in (old, new))
    assert text.count(old) == 1
    assert change_symbol(path, text, name, code) == text.replace(old, new)


@pytest.mark.parametrize(
    ("path", "text", "name", "code", "why"),
    [
        (
            "a.py",
            PYTHON,
            "A.v",
            "def v(self): ...",
            "a.py defines A.v 2 times; say which by NAME:LINE:\nA.v:15  def v(self):",
        ),
        ("A.java", JAVA, "f", "int f() {}", "defines f 2 times"),
        ("a.rs", RUST, "m", "fn m() {}", "S.m:6  fn m(&self)"),
        ("a.py", PYTHON, "A.vee", "def vee(self): ...", "a.py defines no A.vee. It defines:\nA.v:15"),
        ("a.py", PYTHON, "A.g", "def h(self): pass", "defines A.h, not A.g; to rename it use edit_file"),
        ("a.py", PYTHON, "A.g", "def g(self): pass\n\ndef h(self): pass", "defines A.g, A.h; give only A.g"),
        ("a.py", PYTHON, "A.g", "import x\ndef g(self): pass", "holds more than the definition: 'import x'"),
        ("a.py", PYTHON, "A.g", "def g(self): pass\nprint(1)", "holds more than the definition: 'print(1)'"),
        ("a.py", PYTHON, "A.g", "return 1", "holds no definition of A.g"),
        ("a.py", PYTHON, "A.g", "def g(self:\n    pass", "would not parse any more: line 24: '(' was never closed"),
        ("a.ts", TYPESCRIPT, "A.foo", "foo() {}\n}\nclass Z {", "holds more than the definition: '}'"),
        ("a.go", GO, "F", "func F() {\n", "would not parse any more"),
        ("a.py", PYTHON, "A.g", "", "`code` is empty"),
        ("a.txt", "x", "x", "y", "use edit_file"),
        ("a.js", "let h = 1, i = 2;\n", "h", "let h = 3;", "declared together with"),
    ],
)
def test_refusals(path: str, text: str, name: str, code: str, why: str) -> None:
    assert why in refused(path, text, name, code)


def test_code_as_it_is_in_the_file_stays_as_it_is() -> None:
    hanging = "class A:\n  def f(self):\n    x = g(\n            1)\n    return x\n\n  def h(self):\n    pass\n"
    code = "def f(self):\n    x = g(\n            1)\n    return x"
    assert change_symbol("a.py", hanging, "A.f", code) == hanging
    allman = "struct A\n{\n    int f()\n    {\n        return 1;\n    }\n};\n"
    assert change_symbol("a.cpp", allman, "A.f", "int f()\n    {\n        return 1;\n    }") == allman
    private = "class A {\n  #x() { return 1; }\n}\n"
    assert change_symbol("a.js", private, "A.#x", "#x() { return 2; }") == private.replace("1", "2")


def test_deleting_leaves_no_gap() -> None:
    assert change_symbol("a.py", PYTHON, "f", "", "delete") == "import os\n\n\n" + PYTHON[PYTHON.index("class A") :]
    without = change_symbol("a.py", PYTHON, "A.g", "", "delete")
    assert without.endswith("        self.n = n\n\n\nY = 2\n")
    assert change_symbol("a.py", PYTHON, "Y", "", "delete").endswith('  b\n"""\n')
    assert "\tx: number = 1;\n}\n" in change_symbol("a.ts", TYPESCRIPT, "A.foo", "", "delete")
    assert change_symbol("a.c", C, "f", "", "delete") == "struct X {int a;};\r\nint f(int a);\r\n"
    assert "leave `code` empty" in refused("a.py", PYTHON, "f", "def f(): ...", "delete")


def test_code_is_put_before_and_behind_with_the_file_s_gaps() -> None:
    after = change_symbol("a.py", PYTHON, "A.g", "def h(self):\n  return 1", "after")
    assert '"""\n\n    def h(self):\n        return 1\n\n\nY = 2\n' in after
    before = change_symbol("a.py", PYTHON, "f", "def k(): ...", "before")
    assert before.startswith("import os\n\n\ndef k(): ...\n\n\n# about f\n@cache\n")
    assert change_symbol("a.py", PYTHON, "Y", "Z = 3", "after").endswith("Y = 2\nZ = 3\n")
    assert "1 }\n\n    fn k() {}\n    fn n" in change_symbol("a.rs", RUST, "S.m", "fn k() {}", "after")
    assert "return a;\r\n}\r\n\r\nint k(void);\r\n" in change_symbol("a.c", C, "f", "int k(void);", "after")
    assert "would not parse" in refused("a.py", PYTHON, "A.g", "def h(self:", "after")


def test_the_tool_writes_and_answers_with_the_diff(workspace: Path, home: Path) -> None:
    (workspace / "a.py").write_bytes(PYTHON.replace("\n", "\r\n").encode("utf-8-sig"))
    (tool, _) = edit_tools(workspace)
    given = tool.validate({"path": "a.py", "name": "A.v:20", "code": "def v(self, n):\n    self.n = -n"})
    answer = asyncio.run(tool.call(given, ToolContext("r", "k", None, home)))
    assert answer.value.startswith("edited a.py\n--- a.py\n+++ a.py\n@@ ")
    assert "\n-        self.n = n\n+        self.n = -n\n" in answer.value
    expected = PYTHON.replace("self.n = n", "self.n = -n").replace("\n", "\r\n").encode("utf-8-sig")
    assert (workspace / "a.py").read_bytes() == expected
    with pytest.raises(ToolError, match=r"did you mean a\.py"):
        plan_symbol(workspace, home, "aa.py", "f", "def f(): ...")
    with pytest.raises(ToolError, match="already is so"):
        plan_symbol(workspace, home, "a.py", "Y", "Y = 2")
    (workspace / "b.py").write_bytes("def f():\n    return 'grün'\n".encode("latin-1"))
    change = plan_symbol(workspace, home, "b.py", "f", "def f():\n    return 'süß'")
    assert change.after == "def f():\n    return 'süß'\n".encode("latin-1")


def test_what_belongs_to_a_definition_is_found_in_real_source() -> None:
    """Every definition of this package replaced by its own text leaves its file as it is."""
    import mainspring

    folder = Path(mainspring.__file__).parent
    chosen = random.Random(4).sample(sorted(folder.rglob("*.py")), 12)
    tried = 0
    for path in chosen:
        text = path.read_text()
        source = text.encode()
        known = list(definitions("python", source))
        once = [d for d in known if [o.qualified for o in known].count(d.qualified) == 1]
        for found in random.Random(4).sample(once, min(6, len(once))):
            code = source[found.begin : found.end].decode()  # copied from behind its first indentation
            assert change_symbol(path.name, text, found.qualified, code) == text
            before = source[source.rfind(b"\n", 0, found.begin) + 1 : found.begin].decode()
            assert change_symbol(path.name, text, found.qualified, textwrap.dedent(before + code)) == text
            tried += 1
    assert tried > 40


def test_a_large_file_is_quick() -> None:
    text = "".join(f"def f{n}(a):\n    return a + {n}\n\n\n" for n in range(8_000))
    began = time.perf_counter()
    after = change_symbol("a.py", text, "f4000", "def f4000(a):\n    return 0")
    assert after == text.replace("return a + 4000\n", "return 0\n")
    assert time.perf_counter() - began < 10
