"""Reads what test runners print: unittest's report, TAP (node among others), and compilers' errors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mainspring.tools.runners.found import (
    ERROR,
    FAILED,
    PASSED,
    SKIPPED,
    Found,
    TestFailure,
    TestOutcome,
    counted,
    inside,
    make_failure,
    seconds,
)

_UNITTEST_BLOCK = re.compile(
    r"^={70}\n(FAIL|ERROR): (\S+) \(([^)\n]*)\)[^\n]*\n(?:[^\n]*\n)?-{70}\n(.*?)(?=^={70}\n|^-{70}\nRan )",
    re.MULTILINE | re.DOTALL,
)
_UNITTEST_LINE = re.compile(r"^(\w+) \(([\w.]+)\)(?: \.\.\. |\n[^\n]* \.\.\. )(ok|FAIL|ERROR|skipped|expected)?", re.M)
_TAP_LINE = re.compile(r"^( *)(ok|not ok)\b(?: (\d+))?(?: -)?(?: (.*?))?(?: # ?(SKIP|TODO)\b.*)?$", re.IGNORECASE)
_TAP_PLAN = re.compile(r"^1\.\.(\d+)", re.MULTILINE)
_COMPILE = (
    # javac through Maven, then gcc and clang, go and tsc, each with its message
    re.compile(r"^\[ERROR\] (/[^:\n]+):\[(\d+),\d+\] (.+)$", re.MULTILINE),
    re.compile(r"^([^\s:][^:\n]*\.\w+):(\d+):(?:\d+:)? (?:fatal )?error: (.+)$", re.MULTILINE),
    re.compile(r"^([^\s(][^(\n]*\.tsx?)\((\d+),\d+\): error (.+)$", re.MULTILINE),
)
_RUST_COMPILE = re.compile(r"^error(?:\[E\d+\])?: (.+)\n\s*--> ([^:\n]+):(\d+):\d+", re.MULTILINE)


def read_unittest(output: str, workspace: Path, folder: str = "") -> Found | None:
    """Counts and failures from unittest's printed report, or None when it never began.

    A report without its last lines counts as incomplete.
    """
    begun = [(f"{where}.{name}".replace(f".{name}.{name}", f".{name}"), word)
             for name, where, word in _UNITTEST_LINE.findall(output)]  # fmt: skip
    ran = list(re.finditer(r"^Ran (\d+) tests? in ", output, re.MULTILINE))
    if not ran:
        if not begun:
            return None
        words = {"ok": PASSED, "FAIL": FAILED, "ERROR": ERROR, "skipped": SKIPPED, "expected": PASSED}
        ended = [TestOutcome(test, words[word]) for test, word in begun if word]
        open_ = tuple(test for test, word in begun if not word)
        return counted(ended, [], complete=False, unfinished=open_)
    summary = output[ran[-1].end() :]
    named = {name: int(number) for name, number in re.findall(r"(failures|errors|skipped)=(\d+)", summary)}
    failed, errors, skipped = (named.get(name, 0) for name in ("failures", "errors", "skipped"))
    total = int(ran[-1].group(1)[:9])
    failures = []
    for kind, name, where, body in _UNITTEST_BLOCK.findall(output):
        test = where if where.endswith(f".{name}") else f"{where}.{name}"
        last = body.strip().rsplit("\n  File ", 1)[-1]
        plain = [line for line in last.splitlines()[1:] if not line.startswith("    ")]
        told = "failed" if kind == "FAIL" else "error"
        if "unittest.loader._FailedTest" in test:
            told, test = "collection", name
        failures.append(make_failure(test, told, plain, body, workspace, folder))
    # A run that was begun in the middle of another one's report, or that says more than it named, is told apart here.
    complete = re.search(r"^(OK|FAILED|NO TESTS RAN)\b", summary, re.MULTILINE) is not None
    tests = tuple(TestOutcome(f.id, FAILED if f.kind == "failed" else ERROR) for f in failures)
    if len(begun) == total:  # told one by one, with -v
        words = {"FAIL": FAILED, "ERROR": ERROR, "skipped": SKIPPED}
        tests = tuple(TestOutcome(test, words.get(word, PASSED)) for test, word in begun)
    passed = max(0, total - failed - errors - skipped)
    return Found(passed, failed, errors, skipped, tuple(failures), tests, complete)


def read_tap(output: str, workspace: Path, folder: str = "", files: Sequence[str] = ()) -> Found | None:
    """Counts and failures from TAP 12 to 14, with the nested tests and diagnostics of ``node --test``, or None.

    Args:
        output: the report.
        workspace: paths are told relative to it.
        folder: where the tests ran, relative to the workspace.
        files: the file of each result in the report's order, where known; ids begin with it, so that tests of the same
            title in two files are two.
    """
    plan = _TAP_PLAN.search(output)
    lines = output.splitlines()
    results = [(i, m) for i, line in enumerate(lines) if (m := _TAP_LINE.match(line))]
    if not results or (plan is None and "TAP version" not in output):
        return None
    tests: list[TestOutcome] = []
    failures: list[TestFailure] = []
    titles: list[tuple[int, str]] = []  # subtests that have begun and not ended, outermost first
    at = 0
    top = 0
    named = files if len(files) == len(results) else [""] * len(results)
    for (index, match), file in zip(results, named, strict=True):
        for line in lines[at:index]:
            begun = re.match(r"^( *)# Subtest: (.*)$", line)
            if begun:
                titles.append((len(begun[1]), begun[2]))
        at = index + 1
        indent, name = len(match[1]), (match[4] or f"test {match[3] or len(tests) + 1}").strip()
        top += indent == 0
        while titles and titles[-1][0] > indent:
            titles.pop()
        if titles and titles[-1] == (indent, name):
            titles.pop()
        block = _diagnostics(lines, index)
        if block.get("type") == "suite" or "subtestsFailed" in block.get("failureType", ""):
            continue
        parents = [title for depth, title in titles if depth < indent]
        test = " > ".join([*parents, name])
        if "test name does not match pattern" in match[0]:
            continue  # left out by the target, which is no outcome
        own = inside(name, workspace, folder) if "/" in name or "." in name else None
        where = inside(file, workspace, folder) if file else None
        if own is not None:
            test = _relative(own, folder)
        elif where is not None:
            test = f"{_relative(where, folder)}::{test}"
        outcome = PASSED if match[2].lower() == "ok" else FAILED
        if match[5]:
            outcome = SKIPPED
        elif outcome == FAILED:
            failures.append(_tap_failure(test, own, block, lines, index, workspace, folder))
            outcome = ERROR if failures[-1].kind != "failed" else FAILED
        tests.append(TestOutcome(test, outcome, seconds(block.get("duration_ms")) / 1000))
    complete = plan is not None and top >= int(plan[1][:9]) and "Bail out!" not in output
    waiting = tuple(title for _, title in titles)
    return counted(tests, failures, complete=complete, unfinished=waiting)


def read_compile_errors(output: str, workspace: Path, folder: str = "") -> list[TestFailure]:
    """Errors of compilers (javac, gcc, clang, tsc, rustc), each as a failure of the kind ``"compile"``, once each."""
    told = [m for pattern in _COMPILE for m in pattern.findall(output)]
    told += [(path, line, message) for message, path, line in _RUST_COMPILE.findall(output)]
    failures = []
    for path, line, message in dict.fromkeys(told):
        own = inside(path.strip(), workspace, folder)
        if own is not None:
            traceback = f"{own}:{line}: in "
            failures.append(make_failure(own, "compile", [message], traceback, workspace))
    return failures


def _relative(file: str, folder: str) -> str:
    return file.removeprefix(f"{folder}/") if folder else file


def _diagnostics(lines: list[str], index: int) -> dict[str, str]:
    """The YAML block below a result, its plain and folded values."""
    if index + 1 >= len(lines) or lines[index + 1].strip() != "---":
        return {}
    indent = len(lines[index + 1]) - len(lines[index + 1].lstrip())
    found: dict[str, str] = {}
    key = ""
    for line in lines[index + 2 : index + 400]:
        if line.strip() == "..." and len(line) - len(line.lstrip()) == indent:
            break
        entry = re.match(rf"^ {{{indent}}}(\w+): ?(.*)$", line)
        if entry:
            key = entry[1]
            found[key] = "" if entry[2] in ("|-", "|", ">-") else entry[2].strip("'\"")
        elif key:
            found[key] = f"{found[key]}\n{line.strip()}".lstrip("\n")
    return found


def _tap_failure(
    test: str, own: str | None, block: dict[str, str], lines: list[str], index: int, workspace: Path, folder: str
) -> TestFailure:
    message = block.get("error") or block.get("message") or "not ok"
    stack = re.sub(r"^.*?\(?(?:file://)?(/[^()\s:]+):(\d+):\d+\)?$", r"\1:\2: in ", block.get("stack", ""), flags=re.M)
    frames = "\n".join(reversed(stack.splitlines())) or re.sub(r":\d+$", ": in ", block.get("location", ""))
    kind, printed = FAILED, ""
    if own is not None:  # a whole file that could not be run; node prints why before it
        kind = "collection"
        before = [line[2:] for line in lines[max(0, index - 30) : index] if line.startswith("# ")]
        wrong = [line for line in before if re.match(r"\w*(Error|Exception)\b", line)]
        place = next((line for line in before if re.match(r"/\S+:\d+$", line)), "")
        message, printed = (wrong or [message])[-1], "\n".join(before)
        frames = f"{place}: in " if place else frames
    told = {name: block[name] for name in ("expected", "actual") if block.get(name)}
    return make_failure(test, kind, message.splitlines(), frames, workspace, folder, output=printed, **told)
