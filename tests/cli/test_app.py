"""Usage, errors and streams of the command as a whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_program import COMMAND, environment, mainspring

import mainspring as package

GROUPS: list[list[str]] = [
    [],
    ["run"],
    ["code"],
    *[["code", c] for c in ("do", "list", "report", "diff", "apply", "undo", "scan")],
    ["index"],
    ["search"],
    ["library"],
    *[["library", c] for c in ("list", "show", "stats", "libraries", "remove", "forget", "check", "compact")],
    *[["library", c] for c in ("reembed", "queries", "ask", "eval")],
    ["acp"],
    ["worker"],
    ["serve"],
    ["schedule"],
    *[["schedule", c] for c in ("add", "list", "show", "history", "pause", "resume", "run-now", "remove", "tick")],
    ["runs"],
    *[
        ["runs", c]
        for c in ("list", "show", "resume", "fork", "replay", "cancel", "export", "import", "move", "send", "undo")
    ],
    *[["runs", c] for c in ("vouch", "doubt")],
    ["approvals"],
    *[["approvals", c] for c in ("list", "show", "approve", "deny", "settle")],
    ["grants"],
    *[["grants", c] for c in ("list", "give", "revoke", "restore", "revoked")],
    ["people"],
    *[["people", c] for c in ("list", "revoke", "restore")],
    ["policy"],
    *[["policy", c] for c in ("check", "explain", "test")],
    ["tools"],
    *[["tools", c] for c in ("list", "audit", "approve")],
    ["memory"],
    *[["memory", c] for c in ("list", "show", "search", "add", "forget", "trust", "distrust", "export", "import")],
    ["recall"],
    *[["recall", c] for c in ("search", "forget", "rebuild")],
    ["skills"],
    *[["skills", c] for c in ("list", "show", "add", "approve", "remove")],
    ["pins"],
    *[["pins", c] for c in ("list", "diff", "approve", "remove")],
    ["audit"],
    *[["audit", c] for c in ("verify", "search", "export", "key", "trust")],
    ["models"],
    ["doctor"],
    ["demo"],
]


def test_version(tmp_path: Path) -> None:
    assert mainspring("--version", home=tmp_path).stdout == f"mainspring {package.__version__}\n"


def imported(tmp_path: Path, *arguments: str) -> set[str]:
    """Top-level modules that a command imports."""
    code = (
        "import sys\nfrom mainspring.cli import main\nmain(sys.argv[1:])\n"
        "print(' '.join({m.split('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=environment(tmp_path),
        check=True,
    )
    return set(done.stderr.splitlines()[-1].split())


def test_version_imports_nothing_but_the_standard_library(tmp_path: Path) -> None:
    others = imported(tmp_path, "--version") - sys.stdlib_module_names - {"mainspring", "__main__"}
    assert not {name for name in others if not name.startswith(("_", "sitecustomize"))}


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["runs"], ["approvals", "--help"]])
def test_light_commands_import_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    heavy = {"pydantic", "rich", "xllamacpp", "pydantic_ai", "numpy", "httpx"}
    assert not imported(tmp_path, *arguments) & heavy


@pytest.mark.parametrize("command", GROUPS, ids=" ".join)
def test_every_command_has_help(tmp_path: Path, command: list[str]) -> None:
    done = mainspring(*command, "--help", home=tmp_path)
    assert done.stdout.startswith("Usage: mainspring")
    assert done.stderr == ""


def test_no_arguments_show_the_help(tmp_path: Path) -> None:
    assert "Commands:" in mainspring(home=tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["rum"], "there is no command 'rum'; did you mean 'run'?"),
        (["frobnicate"], "commands are run, code, runs, worker"),
        (["ask", "x"], "there is no command 'ask'; did you mean 'library ask'?"),
        (["forget", "x"], "did you mean 'memory forget' or 'library forget' or 'recall forget'?"),
        (["runs", "shwo"], "did you mean 'show'?"),
        (["run"], "missing argument 'TASK'"),
        (["run", "x", "--limt", "usd=2"], "--limit"),
        (["run", "x", "--limit", "usd"], "write NAME=NUMBER"),
        (["run", "x", "--limit", "usd=many"], "'many' is no number"),
        (["run", "x", "--limit", "usd=nan"], "is no number"),
        (["run", "x", "--limit", "dollars=2"], "limit 'dollars' is unknown"),
        (["run", "x", "--limit", "usd=-1"], "must be a positive number"),
        (["run", " "], "the task is empty"),
        (["run", "-"], "the task is empty"),
        (["run", "x", "--json", "--quiet"], "choose one"),
        (["run", "x", "--workspace", "/nowhere/at/all"], "does not exist"),
        (["run", "x", "--attach", "/nowhere/at/all"], "does not exist"),
        (["run", "x", "--agent", "a.py", "--tools", "none"], "declares its own"),
        (["run", "x", "--effort", "huge"], "effort"),
        (["run", "x", "--guard", "off"], "--guard"),
        (["run", "x", "--grant", " "], "--grant takes 'TOOL arg=value ... [xN]'"),
        (["runs", "vouch", "x", "v1"], "--reason"),
        (["runs", "doubt", "x"], "missing argument 'TARGET'"),
        (["runs", "fork", "x"], "--step"),
        (["runs", "undo", "x", "--all", "--last", "2"], "exclude each other"),
        (["approvals", "settle", "x", "--answer", "maybe"], "happened"),
        (["approvals", "settle", "x", "--answer", "abort", "--value", "v"], "--answer happened"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_to_do(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    done = mainspring(*arguments, home=tmp_path, expect=2)
    assert done.stdout == ""
    assert done.stderr.startswith("mainspring: error: ")
    assert complaint in done.stderr


def test_an_argument_that_is_no_utf8(tmp_path: Path) -> None:
    done = mainspring("run", b"caf\xe9", home=tmp_path, expect=2)
    assert "not valid UTF-8" in done.stderr
    assert "caf\\\\xe9" in done.stderr


def test_a_task_on_stdin_that_is_no_utf8(tmp_path: Path) -> None:
    done = mainspring("run", "-", home=tmp_path, stdin=b"fix caf\xe9", expect=2)
    assert "byte 0xe9 at offset 7" in done.stderr


def test_errors_exit_1_without_a_traceback_unless_asked_for(tmp_path: Path) -> None:
    done = mainspring("runs", "show", "nope", home=tmp_path, expect=1)
    assert done.stderr == "mainspring: error: no run begins with 'nope'; `mainspring runs` lists them\n"
    shown = subprocess.run(
        [*COMMAND, "runs", "show", "nope"],
        capture_output=True,
        text=True,
        env=environment(tmp_path, MAINSPRING_DEBUG="1"),
        check=False,
    )
    assert "Traceback" in shown.stderr


def test_an_error_never_carries_an_escape_sequence(tmp_path: Path) -> None:
    done = mainspring("runs", "show", "\x1b]0;x\x07", home=tmp_path, expect=1)
    assert "\x1b" not in done.stderr


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = mainspring("runs", home=tmp_path / "file" / "home", expect=1)
    assert done.stderr.startswith("mainspring: error: ")


def test_output_that_nobody_reads(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*COMMAND, "runs"], stdout=write, stderr=subprocess.PIPE, env=environment(tmp_path), check=False
    )
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == b"mainspring: error: nobody reads standard output any more\n"


@pytest.mark.parametrize("closed", ["0", "1", "2"])
def test_a_closed_stream_does_not_end_in_the_journal(tmp_path: Path, closed: str) -> None:
    command = f"exec {' '.join(COMMAND)} runs {closed}>&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environment(tmp_path), check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == (1 if closed == "1" else 0)
    if closed == "1":
        assert "standard output is closed" in done.stderr
    mainspring("runs", home=tmp_path)


def test_a_terminal_that_knows_only_ascii(tmp_path: Path) -> None:
    done = mainspring("runs", "show", "ü", home=tmp_path, expect=1, PYTHONIOENCODING="ascii")
    assert "no run begins with" in done.stderr
