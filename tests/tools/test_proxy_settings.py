"""What a person grants commands, and what that makes of the tool that runs them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mainspring.errors import DeclarationError
from mainspring.tool import DidNotHappen, Happened, Tool, ToolContext, Unknown
from mainspring.tools import coding_tools, recovery
from mainspring.tools.limits import SandboxLimits, SandboxSettings
from mainspring.tools.sandbox import Sandbox
from mainspring.tools.supervise import _setup_error


def tools(**options: Any) -> dict[str, Tool]:
    return {tool.name: tool for tool in coding_tools(**options)}


def test_without_hosts_commands_stay_contained() -> None:
    run = tools()["run_terminal_command"]
    assert (run.effect, run.undoable, run.outside, run.consequential) == ("write", True, False, False)


def test_with_hosts_a_command_tells_somebody_outside() -> None:
    granted = tools(sandbox={"hosts": ["pypi.org", "*.example.com"]})
    run = granted["run_terminal_command"]
    assert (run.effect, run.undoable, run.outside, run.consequential) == ("irreversible", False, True, True)
    assert run.role("command") == "authority"
    assert "pypi.org, *.example.com" in run.description
    assert granted["execute_tests"].consequential is False, "tests get no network"
    assert granted["edit_file"].consequential is False


def test_settings_become_limits() -> None:
    settings = SandboxSettings.read({"cpu_s": 5, "memory_mb": 100, "processes": 7, "disk_mb": 3})
    limits = settings.limits(SandboxLimits(open_files=9))
    assert (limits.cpu_s, limits.total_memory_bytes, limits.processes, limits.disk_bytes, limits.open_files) == (
        5, 100_000_000, 7, 3_000_000, 9
    )  # fmt: skip
    assert SandboxSettings().limits() == SandboxLimits()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"host": ["pypi.org"]}, r"\['host'\] are unknown"),
        ({"hosts": "pypi.org"}, "must be a list of names"),
        ({"hosts": 5}, "must be a list of names"),
        ({"hosts": [5]}, "must be a list of names"),
        ({"hosts": ["*"]}, "names no host"),
        ({"hosts": ["169.254.169.254"]}, "cannot be granted: it is 169.254.169.254, a cloud's metadata service"),
        ({"hosts": ["https://pypi.org"]}, "without https://"),
        ({"cpu_s": 0}, "cpu_s must be a whole number above 0"),
        ({"memory_mb": "4"}, "whole number above 0, not '4'"),
        ({"processes": True}, "whole number above 0, not True"),
        ({"disk_mb": 1.5}, "whole number above 0, not 1.5"),
        ([], "must be a mapping"),
    ],
)
def test_wrong_settings_are_refused(settings: Any, why: str) -> None:
    if settings == []:
        settings = ["hosts"]
    with pytest.raises(DeclarationError, match=why):
        coding_tools(sandbox=settings)


def test_wrong_limits_are_refused(workspace: Path) -> None:
    with pytest.raises(DeclarationError, match="file_bytes must be a whole number above 0, not -1"):
        SandboxLimits(file_bytes=-1)
    with pytest.raises(DeclarationError, match="names no host"):
        Sandbox(workspace, hosts=["not a name"])


def test_the_tool_says_which_limit_and_which_host(workspace: Path, home: Path) -> None:
    run = tools(sandbox={"hosts": ["good.test"], "cpu_s": 1, "memory_mb": 200, "disk_mb": 20})["run_terminal_command"]

    def answer(command: str) -> str:
        return str(asyncio.run(run.call({"command": command}, ToolContext("r", "k", workspace, home))))

    assert answer("while :; do :; done").startswith("ended: it used more than 1 s of CPU time (the limit `cpu_s`)\n")
    said = answer("python -c 'import urllib.request as u; u.urlopen(\"http://evil.test/\")' 2>&1 | tail -1")
    assert said.splitlines()[:2] == [
        "exit code 0",
        "network: refused evil.test:80: not granted (granted: good.test)",
    ]
    assert "403" in said.splitlines()[2]


def test_a_command_with_hosts_is_in_doubt_after_a_crash(workspace: Path, home: Path) -> None:
    prepared = recovery.prepare(workspace, home)
    context = ToolContext("r", "key", workspace, home, prepared)
    alone, granted = tools()["run_terminal_command"], tools(sandbox={"hosts": ["good.test"]})["run_terminal_command"]
    assert alone.reconcile is not None
    assert granted.reconcile is not None
    assert alone.reconcile(context) == DidNotHappen()
    settled = granted.reconcile(context)
    assert isinstance(settled, Unknown)
    assert "outside" in settled.reason
    recovery.remember(context, "exit code 0")
    assert granted.reconcile(context) == Happened("exit code 0")


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", "systempaths=unconfined"),
        ("bwrap: Creating new namespace failed: No space left on device", "user.max_user_namespaces"),
        ("bwrap: setting up uid map: Permission denied", "kernel.apparmor_restrict_unprivileged_userns"),
        ("bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", "seccomp=unconfined"),
        ("bwrap: prctl(PR_SET_SECCOMP): Invalid argument", "CONFIG_SECCOMP_FILTER"),
        ("bwrap: something else", "no command ran"),
    ],
)
def test_what_helps_is_said(said: str, fix: str) -> None:
    assert fix in str(_setup_error(said))
