"""What may be used while skills are active: what the agent holds, and what every manifest names."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring import Agent, ScriptedModel, ToolCallPart, tool
from mainspring.errors import DeclarationError, ToolError
from mainspring.guard.snapshot import Snapshot
from mainspring.skills import Held, Manifest, Skill, narrow, restrict
from mainspring.tool import Tool, ToolContext


@tool(effect="read")
def read_file(path: str) -> str:
    """Read a file."""
    return f"content of {path}"


@tool(effect="read")
def fetch(url: str, headers: dict[str, str] | None = None) -> str:
    """Fetch a page."""
    return f"page of {url}"


@tool(effect="irreversible")
def pay(account: str) -> str:
    """Pay."""
    return "paid"


@tool(effect="write", undoable=True)
def run_command(command: str) -> str:
    """Run a command."""
    return "ran"


@tool(effect="read")
def move(files: list[str], options: dict[str, Any] | None = None) -> str:
    """Look at files."""
    return "moved"


TOOLS: dict[str, Tool] = {t.name: t for t in (read_file, fetch, pay, run_command, move)}
ALL = ("read", "write", "irreversible")


def skill(name: str = "s", **manifest: Any) -> Skill:
    return Skill(name, "d", "i", Manifest(**manifest), "0", Snapshot({}))


def use(found: Tool, workspace: Path | None = None, **arguments: Any) -> Any:
    checked = found.validate(arguments)
    return asyncio.run(found.call(checked, ToolContext(workspace=workspace)))


def test_only_what_is_named_is_left() -> None:
    left = restrict(TOOLS, skill(tools=("read_file", "pay"), effects=ALL))
    assert list(left) == ["read_file", "pay"]
    assert left["pay"].spec == pay.spec
    assert left["pay"].consequential
    assert restrict(TOOLS, skill()) == {}
    assert restrict(TOOLS) == TOOLS


def test_two_skills_leave_what_both_name() -> None:
    a = skill("a", tools=("read_file", "pay"), effects=ALL, paths=("x/**",), hosts=("h.example", "i.example"))
    b = skill("b", tools=("pay", "fetch", "read_file"), effects=ALL, paths=("x/y/*", "**"), hosts=("*.example",))
    held = Held(TOOLS, ("*.example",), ("**",), ("K",))
    left = narrow(held, [a, b])
    assert list(left.tools) == ["read_file", "pay"]
    assert left.hosts == ["h.example", "i.example"]
    assert left.paths == ["x/**"]
    assert left.secrets == []
    assert narrow(held, []) == held


@pytest.mark.parametrize(
    ("manifest", "named"),
    [
        ({"tools": ("mail",)}, "tool 'mail'"),
        ({"tools": ("pay",)}, "'pay' is 'irreversible'"),
        ({"tools": ("run_command",), "effects": ALL, "paths": ("a/**",)}, "may touch every path"),
        ({"hosts": ("other.example",)}, "host 'other.example'"),
        ({"hosts": ("*.h.example",)}, "host '*.h.example'"),
        ({"paths": ("**",)}, "path '**'"),
        ({"secrets": ("KEY",)}, "secret 'KEY'"),
    ],
)
def test_asking_for_more_than_the_agent_holds_names_what(manifest: dict[str, Any], named: str) -> None:
    held = Held(TOOLS, ("h.example",), ("a/**",), ())
    with pytest.raises(DeclarationError) as refused:
        narrow(held, [skill(), skill("greedy", **manifest)])
    assert named in str(refused.value)
    assert "'greedy'" in str(refused.value)


def test_paths_are_held_to_the_manifest(workspace: Path) -> None:
    (workspace / "in").mkdir()
    (workspace / "secret.txt").write_text("x")
    (workspace / "in" / "link").symlink_to(workspace / "secret.txt")
    found = restrict(TOOLS, skill(tools=("read_file", "move"), paths=("in/**",)))
    assert use(found["read_file"], workspace, path="in/a.txt") == "content of in/a.txt"
    assert use(found["read_file"], workspace, path=str(workspace / "in" / "a.txt")).startswith("content")
    for path in ("secret.txt", "in/../secret.txt", "in/link", "/etc/passwd", "..", "$v1", "in\0", str(workspace)):
        with pytest.raises(ToolError, match=r"skill 's' is active, and allows as path only"):
            use(found["read_file"], workspace, path=path)
    with pytest.raises(ToolError):
        use(found["read_file"], None, path="/etc/passwd")
    assert use(found["move"], workspace, files=["in/a", "in/b"]) == "moved"
    with pytest.raises(ToolError):
        use(found["move"], workspace, files=["in/a", "secret.txt"])


def test_hosts_are_held_to_the_manifest() -> None:
    found = restrict(TOOLS, skill(tools=("fetch",), hosts=("a.example",)))["fetch"]
    for url in ("https://a.example/x?y", "http://A.example:8080", "a.example/x"):
        assert use(found, url=url).startswith("page")
    for url in (
        "https://evil.example/",
        "https://a.example@evil.example/",
        "https://evil.example\\@a.example/",
        "https://a.example.evil.example",
        "file:///etc/passwd",
        "https://[::1]/",
        "https://[",
        "//evil.example/a.example",
        "",
        "ht\ttps://evil.example",
    ):
        with pytest.raises(ToolError, match="allows as url only"):
            use(found, url=url)


def test_what_prepares_an_effect_is_held_as_well(workspace: Path) -> None:
    prepared: list[str] = []

    def prepare(path: str, context: ToolContext) -> None:
        prepared.append(path)

    edit = Tool(read_file.function, name="edit", effect="write", undoable=True, prepare=prepare)
    found = restrict({"edit": edit}, skill(tools=("edit",), effects=ALL, paths=("in/**",)))["edit"]
    with pytest.raises(ToolError):
        asyncio.run(found.run_prepare({"path": "out"}, ToolContext(workspace=workspace)))
    asyncio.run(found.run_prepare({"path": "in/a"}, ToolContext(workspace=workspace)))
    assert prepared == ["in/a"]


def test_a_run_is_told_and_goes_on(home: Path, workspace: Path) -> None:
    left = restrict(TOOLS, skill(tools=("read_file",), paths=("in/**",)))
    lines: list[ToolCallPart | str] = [
        ToolCallPart("1", "read_file", {"path": "out/a"}),
        ToolCallPart("2", "pay", {"account": "17"}),
        ToolCallPart("3", "read_file", {"path": "in/a"}),
        "end",
    ]
    agent = Agent("a", model=ScriptedModel(lines), tools=list(left.values()))
    run = agent.run_sync("go", home=home, workspace=workspace)
    assert run.status == "done"
    shown = str([e.payload for e in run.events()])
    assert "is active, and allows as path only" in shown
    assert "There is no tool 'pay'" in shown
    assert "content of in/a" in shown
    assert "content of out/a" not in shown


_MANIFESTS = st.builds(
    Manifest,
    tools=st.lists(st.sampled_from(["read_file", "fetch", "pay", "mail"]), unique=True).map(tuple),
    effects=st.lists(st.sampled_from(ALL), unique=True).map(tuple),
    hosts=st.lists(st.sampled_from(["h.example", "*.example", "i.other"]), unique=True).map(tuple),
    paths=st.lists(st.sampled_from(["**", "a/**", "a/b", "*"]), unique=True).map(tuple),
    secrets=st.lists(st.sampled_from(["K", "L"]), unique=True).map(tuple),
)


@given(manifests=st.lists(_MANIFESTS, min_size=1, max_size=3))
def test_rights_only_shrink(manifests: list[Manifest]) -> None:
    held = Held(TOOLS, ("*.example",), ("**",), ("K",))
    skills = [Skill(f"s{n}", "d", "i", m, "0", Snapshot({})) for n, m in enumerate(manifests)]
    try:
        left = narrow(held, skills)
    except DeclarationError:
        return
    for manifest in manifests:
        assert set(left.tools) <= set(manifest.tools) & set(held.tools)
        assert all(t.effect in manifest.effects for t in left.tools.values())
        assert set(left.secrets) <= set(manifest.secrets) & set(held.secrets)
        for path in ("a/b", "a/c", "x"):
            if any(Manifest(paths=(p,)).allows_path(path) for p in left.paths):
                assert manifest.allows_path(path)
        for host in ("h.example", "x.example", "i.other"):
            if any(Manifest(hosts=(h,)).allows_host(host) for h in left.hosts):
                assert manifest.allows_host(host)
                assert Manifest(hosts=tuple(held.hosts)).allows_host(host)
