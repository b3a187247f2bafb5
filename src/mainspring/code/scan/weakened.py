"""Tests that say less than before: compared function by function, from the syntax tree."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from mainspring.code.patch import FileChange, Patch
from mainspring.code.scan import places
from mainspring.code.scan.files import decode
from mainspring.code.scan.finding import Draft, Finding, finish
from mainspring.code.scan.python.analysis import parse

__all__ = ["weakened_tests"]

_SKIP = re.compile(r"(^|\.)(skip|skipif|skipIf|skipUnless|xfail|expectedFailure|importorskip|SkipTest)$")
#: How much an assertion says: a comparison of values says more than that something is true.
_STRENGTH = {
    "assertEqual": 3,
    "assertDictEqual": 3,
    "assertListEqual": 3,
    "assertSequenceEqual": 3,
    "assertSetEqual": 3,
    "assertTupleEqual": 3,
    "assertMultiLineEqual": 3,
    "assertCountEqual": 3,
    "assertIs": 3,
    "assertRaisesRegex": 3,
    "assertAlmostEqual": 2,
    "assertIn": 2,
    "assertRegex": 2,
    "assertRaises": 2,
    "assertGreater": 2,
    "assertLess": 2,
    "assertGreaterEqual": 2,
    "assertLessEqual": 2,
    "assertIsInstance": 1,
    "assertTrue": 1,
    "assertFalse": 1,
    "assertIsNotNone": 1,
    "assertIsNone": 2,
    "assertNotEqual": 1,
    "assertNotIn": 1,
    "assertIsNot": 1,
}
_OTHER_CHECKS = re.compile(
    r"\b(expect\s?\(|assert\w*!?\s?[\(.]|require\.\w+\(|t\.(Error|Fatal)f?\(|EXPECT_\w+|ASSERT_\w+|should\b)"
)
_OTHER_SKIPS = re.compile(
    r"\b(it|test|describe)\.(skip|todo|failing)\b|\b(xit|xdescribe|xtest)\s?\(|\bt\.Skip(f|Now)?\(|#\[ignore\b|@(Ignore|Disabled)\b|"
    r"\b(it|test|describe)\.only\b|GTEST_SKIP|DISABLED_"
)
_TOLERANCE = frozenset({"abs", "rel", "delta", "atol", "rtol", "abs_tol", "rel_tol", "timeout"})


@dataclass(frozen=True, slots=True)
class _Check:
    """One assertion: its strength, what is looked at, and what is expected."""

    strength: int
    subject: str
    expected: str
    tolerance: float
    line: int


@dataclass(frozen=True, slots=True)
class _Test:
    checks: tuple[_Check, ...]
    skipped: bool
    line: int
    source: str
    patched: frozenset[str]
    dead: bool


def weakened_tests(patch: Patch) -> list[Finding]:
    """Findings about tests that were removed, skipped or made to say less; all of them are introduced."""
    found: list[Finding] = []
    gone: Counter[str] = Counter()
    arrived: Counter[str] = Counter()
    for change in patch.changes:
        if places.is_test(change.path):
            gone.update(_names(change.before))
            arrived.update(_names(change.after))
    for change in patch.changes:
        if places.is_test(change.path):
            side = decode(change.after if change.after is not None else change.before or b"")
            drafts = list(_compare(change, arrived, gone))
            found += finish(drafts, change.path, side.split("\n"))
    return found


def _draft(rule: str, line: int, message: str, evidence: str, severity: str = "high") -> Draft:
    return Draft(rule, None, severity, "high", line, message, "mend the code, not the test", "", evidence)


def _names(data: bytes | None) -> list[str]:
    return list(_tests(data) or {})


def _compare(change: FileChange, arrived: Counter[str], gone: Counter[str]) -> Iterator[Draft]:
    name = change.path.rsplit("/", 1)[-1]
    if not change.path.endswith(".py"):
        yield from _other(change)
        return
    if name == "conftest.py":
        if change.before is not None:
            yield Draft(
                "test-setup-changed",
                None,
                "medium",
                "medium",
                1,
                "conftest.py changed: it decides what tests run, and how",
                "say why in a justification",
                name,
            )
        yield from _collection(change)
    old, new = _tests(change.before), _tests(change.after)
    if old is None:
        return
    if new is None:
        if change.after is not None:
            yield _draft("test-broken", 1, "the test file does not parse any more", name)
            return
        new = {}
    for test, was in old.items():
        now = new.get(test)
        if now is None:
            if arrived[test] >= gone[test] or (not was.checks and not was.source):
                continue  # it moved to another file
            renamed = [key for key, other in _functions(change.after).items() if other == was.source]
            if renamed and any(key.rsplit(".", 1)[-1].startswith("test") for key in renamed):
                continue
            what = f"renamed to {renamed[0]}, which is not collected" if renamed else "removed"
            yield _draft("test-removed", 1, f"{test} was {what}", f"removed {test}")
        else:
            yield from _function(test, was, now)


def _function(test: str, was: _Test, now: _Test) -> Iterator[Draft]:
    if now.skipped and not was.skipped:
        yield _draft("test-skipped", now.line, f"{test} is skipped or expected to fail now", f"skip {test}")
    if now.dead and not was.dead:
        yield _draft("test-skipped", now.line, f"{test} returns before its assertions", f"dead {test}")
    mocked = now.patched - was.patched
    if mocked:
        yield _draft(
            "test-mocked",
            now.line,
            f"{test} replaces {', '.join(sorted(mocked))} by a mock now",
            f"mock {test}",
            "medium",
        )
    if len(now.checks) < len(was.checks):
        yield _draft(
            "test-weakened",
            now.line,
            f"{test} has {len(now.checks)} assertions instead of {len(was.checks)}",
            f"fewer {test}",
        )
        return
    left = list(now.checks)
    pending: list[_Check] = []
    for check in was.checks:
        same = next(
            (
                c
                for c in left
                if (c.subject, c.expected, c.strength, c.tolerance)
                == (check.subject, check.expected, check.strength, check.tolerance)
            ),
            None,
        )
        if same is not None:
            left.remove(same)
        else:
            pending.append(check)
    for check in pending:
        like = next((c for c in left if c.subject == check.subject), None) or (left[0] if left else None)
        if like is None:
            continue
        left.remove(like)
        if like.strength < check.strength:
            yield _draft(
                "test-weakened",
                like.line,
                f"an assertion of {test} says less than before",
                f"loose {test} {check.subject}",
            )
        elif like.tolerance > check.tolerance and like.subject == check.subject:
            yield _draft(
                "test-weakened",
                like.line,
                f"{test} tolerates {like.tolerance:g} instead of {check.tolerance:g}",
                f"tolerance {test} {check.subject}",
            )
        elif like.subject == check.subject and like.expected != check.expected:
            yield _draft(
                "test-expectation-changed",
                like.line,
                f"{test} expects another value of {check.subject[:60]} than before",
                f"expected {test} {check.subject}",
                "medium",
            )
        elif like.subject != check.subject:
            yield _draft(
                "test-changed",
                like.line,
                f"an assertion of {test} was replaced by another one",
                f"replaced {test} {check.subject}",
                "low",
            )


def _functions(data: bytes | None) -> dict[str, str]:
    """Bodies of all functions, to find one under another name."""
    tree = parse(decode(data)) if data is not None else None
    found: dict[str, str] = {}
    for name, node in _walk(tree) if tree else ():
        found[name] = "\n".join(ast.unparse(part) for part in node.body)
    return found


def _walk(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{node.name}.{part.name}", part


def _tests(data: bytes | None) -> dict[str, _Test] | None:
    """The tests of a file by name; None when it is not there or does not parse."""
    tree = parse(decode(data)) if data is not None else None
    if tree is None:
        return None
    marks = [
        node for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]
    all_skipped = any("skip" in ast.unparse(mark.value) or "xfail" in ast.unparse(mark.value) for mark in marks)
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    collected = {
        name
        for name, node in classes.items()
        if name.startswith("Test") or any("TestCase" in ast.unparse(base) for base in node.bases)
    }
    found: dict[str, _Test] = {}
    for name, node in _walk(tree):
        owner, _, own = name.rpartition(".")
        if not own.startswith("test") or (owner and owner not in collected):
            continue
        holder = classes.get(owner)
        marked = [*node.decorator_list, *(holder.decorator_list if holder else [])]
        skipped = all_skipped or any(_skips(mark) for mark in marked) or _skips_inside(node)
        body = "\n".join(ast.unparse(part) for part in node.body)
        found[name] = _Test(tuple(_checks(node)), skipped, node.lineno, body, _patched(node), _dead(node))
    return found


def _skips(node: ast.expr) -> bool:
    function = node.func if isinstance(node, ast.Call) else node
    return _SKIP.search(ast.unparse(function)) is not None


def _skips_inside(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(
        isinstance(part, ast.Call)
        and re.search(r"(^|\.)(skip|xfail|skipTest)$", ast.unparse(part.func)[:60])
        and ast.unparse(part.func).startswith(("pytest", "self", "unittest"))
        for part in ast.walk(node)
    )


def _dead(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(part, ast.Return) for part in node.body[:-1])


def _patched(node: ast.FunctionDef | ast.AsyncFunctionDef) -> frozenset[str]:
    found = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Call):
            function = ast.unparse(part.func)[:80]
            if re.search(r"(^|\.)(patch|patch\.object|setattr|patch\.dict)$", function) and part.args:
                if function.endswith("setattr") and "monkeypatch" not in function:
                    continue
                found.add(
                    ", ".join(ast.unparse(a)[:60].strip("'\"") for a in part.args[:2] if not isinstance(a, ast.Lambda))
                )
    return frozenset(found)


def _checks(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[_Check]:
    for part in ast.walk(node):
        if isinstance(part, ast.Assert):
            yield _assert(part)
        elif isinstance(part, ast.Call):
            name = ast.unparse(part.func)[:80]
            last = name.rsplit(".", 1)[-1]
            if last in _STRENGTH and name.startswith("self."):
                arguments = [ast.unparse(argument) for argument in part.args]
                expected = arguments[1] if len(arguments) > 1 else ""
                yield _Check(
                    _STRENGTH[last], arguments[0] if arguments else "", expected, _tolerance(part), part.lineno
                )
            elif name in ("pytest.raises", "raises", "pytest.warns"):
                match = any(keyword.arg == "match" for keyword in part.keywords)
                wide = bool(part.args) and ast.unparse(part.args[0]) in ("Exception", "BaseException")
                kind = ast.unparse(part.args[0]) if part.args else ""
                yield _Check(2 + match - wide, "raises", kind, 0.0, part.lineno)
            elif last.startswith("assert_") and "." in name:
                yield _Check(
                    1 if last in ("assert_called", "assert_any_call") else 2,
                    name,
                    ast.unparse(part)[:200],
                    0.0,
                    part.lineno,
                )


def _assert(node: ast.Assert) -> _Check:
    test = node.test
    if isinstance(test, ast.Constant):
        return _Check(0, "constant", "", 0.0, node.lineno)
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        left, right = ast.unparse(test.left), ast.unparse(test.comparators[0])
        if left == right:
            return _Check(0, left, right, 0.0, node.lineno)
        kind = test.ops[0]
        strength = 3 if isinstance(kind, ast.Eq | ast.Is) else 2
        if isinstance(kind, ast.NotEq | ast.IsNot | ast.NotIn):
            strength = 1
        if isinstance(kind, ast.Eq | ast.Is) and "approx" in right:
            strength = 2
        if right == "None" and isinstance(kind, ast.Is):
            strength = 2
        return _Check(strength, left, right, _tolerance(test), node.lineno)
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        return _Check(1, ast.unparse(test.values[0])[:200], ast.unparse(test)[:200], 0.0, node.lineno)
    return _Check(1, ast.unparse(test)[:300], "", _tolerance(test), node.lineno)


def _tolerance(node: ast.AST) -> float:
    found = 0.0
    for part in ast.walk(node):
        if isinstance(part, ast.Call):
            for keyword in part.keywords:
                if keyword.arg in _TOLERANCE and isinstance(keyword.value, ast.Constant):
                    value = keyword.value.value
                    found = max(found, float(value)) if isinstance(value, int | float) else found
                elif keyword.arg == "places" and isinstance(keyword.value, ast.Constant):
                    value = keyword.value.value
                    found = max(found, 10.0**-value) if isinstance(value, int) and abs(value) < 50 else found
    return found


def _collection(change: FileChange) -> Iterator[Draft]:
    before, after = decode(change.before or b""), decode(change.after or b"")
    for word in (
        "collect_ignore",
        "pytest_collection_modifyitems",
        "pytest_ignore_collect",
        "pytest_runtest_makereport",
        "pytest_runtest_call",
        "pytest_pyfunc_call",
    ):
        if word in after and word not in before:
            yield _draft("test-setup-changed", 1, f"{word} decides which tests run or what their results are", word)


def _other(change: FileChange) -> Iterator[Draft]:
    """Tests in other languages: counted, not understood."""
    if not re.search(r"\.([cm]?[jt]sx?|go|rs|java|c|cc|cpp|kt)$", change.path) or change.before is None:
        return
    before, after = decode(change.before), decode(change.after or b"")
    if change.after is None:
        if _OTHER_CHECKS.search(before):
            yield _draft("test-removed", 1, "a file of tests was removed", change.path)
        return
    had, has = len(_OTHER_CHECKS.findall(before)), len(_OTHER_CHECKS.findall(after))
    if has < had:
        yield _draft("test-weakened", 1, f"there are {has} assertions instead of {had}", f"fewer {change.path}")
    if len(_OTHER_SKIPS.findall(after)) > len(_OTHER_SKIPS.findall(before)):
        line = next(
            (n for n, text in enumerate(after.split("\n"), 1) if _OTHER_SKIPS.search(text) and text not in before), 1
        )
        yield _draft("test-skipped", line, "a test is skipped, or runs alone, now", f"skip {change.path}")
