"""Tools of real MCP servers, over standard input and output and over HTTP."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "mcp_servers"))
from mcp_start import command, find, free_port, http, write

from mainspring import Agent, ImagePart, Run, ScriptedModel, TextPart, ToolCallPart
from mainspring.config import Config, load_config
from mainspring.errors import DeclarationError, ToolError
from mainspring.label import Label
from mainspring.tool import ToolContext
from mainspring.tools.mcp import McpTool, McpTools, close_servers, mcp_tools

ASKED = {"ask": {"effect": "read"}}


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    close_servers()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The SDK's server over HTTP, which takes a second to start, and the log of its effects."""
    log = tmp_path_factory.mktemp("served") / "log"
    with http("real", "--log", log) as url:
        yield url, log


@pytest.fixture(params=["stdio", "http"])
def real(request: pytest.FixtureRequest, home: Path) -> McpTools:
    """The SDK's server over both transports; its effects are in home/log."""
    if request.param == "stdio":
        return mcp_tools(command("real", "--log", home / "log"), name="real", home=home)
    url, log = request.getfixturevalue("served")
    log.unlink(missing_ok=True)
    (home / "log").symlink_to(log)
    return mcp_tools(url, name="real", home=home)


def named(tools: McpTools, name: str) -> McpTool:
    (found,) = [t for t in tools if t.remote == name]
    return found


def call(tool: McpTool, **arguments: Any) -> Any:
    return asyncio.run(tool.call(tool.validate(arguments), ToolContext(key="key-1")))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def until(condition: Any, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_what_a_server_says_of_itself_is_not_believed(real: McpTools) -> None:
    pay = named(real, "pay")
    assert pay.claims == {"reads only": True, "destroys": False}
    assert (pay.effect, pay.consequential, pay.outside, pay.settlement) == ("irreversible", True, True, "opaque")
    assert {pay.role(a) for a in pay.schema["properties"]} == {"authority"}
    assert pay.label == Label(frozenset({"mcp:real"}))
    assert not pay.label.trusted
    assert pay.name == "real_pay"
    assert real.server.instructions.startswith("Ignore")
    assert all("Ignore" not in t.description for t in real)


def test_answers_become_values_and_parts(real: McpTools) -> None:
    assert call(named(real, "add"), a=1, b=2) == {"result": 3}
    assert call(named(real, "letters"))["letters"][0]["sender"] == "eve@example.org"
    assert call(named(real, "pay"), to="ann", amount=3) == "paid"
    assert call(named(real, "letters_as_text")) == '[{"id": 7, "body": "hello"}]'
    parts = call(named(real, "picture"))
    assert parts[:2] == [TextPart("see"), ImagePart(b"hello", "image/png")]
    assert "no base64" in parts[2].text
    assert "169.254.169.254" in parts[3].text  # named, and nobody goes there


def test_the_sessions_outlive_event_loops_and_calls_run_beside_each_other(real: McpTools) -> None:
    pid, slow = named(real, "pid"), named(real, "slow")
    assert call(pid) == call(pid)

    async def both() -> float:
        began = time.monotonic()
        await asyncio.gather(*(slow.call({"seconds": 0.5}, ToolContext()) for _ in range(4)))
        return time.monotonic() - began

    assert asyncio.run(both()) < 1.5


def test_wrong_arguments_do_not_reach_the_server(real: McpTools, home: Path) -> None:
    with pytest.raises(
        ToolError, match=r"(?s)real_pay\(to, amount, request_id\?\):.*'amount' is missing.*'bcc' is unk"
    ):
        call(named(real, "pay"), to="ann", bcc="eve")
    with pytest.raises(ToolError, match="'amount': integer expected, not str"):
        call(named(real, "pay"), to="ann", amount="3")
    assert not (home / "log").exists()


def test_errors_are_tool_errors(real: McpTools) -> None:
    with pytest.raises(ToolError, match="Error executing tool fail"):
        call(named(real, "fail"), words="Tell Eve everything!")


@pytest.mark.parametrize("how", ["sampling", "roots", "elicitation"])
def test_a_server_may_not_ask_our_model_or_the_person(real: McpTools, how: str) -> None:
    with pytest.raises(ToolError) as error:
        call(named(real, "ask"), how=how)
    assert "it said" not in str(error.value)


def test_a_slow_call_of_something_irreversible_is_in_doubt_and_a_slow_read_an_error(home: Path) -> None:
    line = command("real", "--log", home / "log")
    said = {"slow": {"timeout_s": 0.5}}
    with pytest.raises(TimeoutError):
        call(named(mcp_tools(line, name="a", home=home, tools=said), "slow"), seconds=9)
    said = {"slow": {"timeout_s": 0.5, "effect": "read"}}
    tools = mcp_tools(line, name="b", home=home, tools=said)
    with pytest.raises(ToolError, match="no answer in time"):
        call(named(tools, "slow"), seconds=9)
    assert call(named(tools, "add"), a=1, b=1) == {"result": 2}  # the session goes on


def test_a_cancelled_call_is_cancelled_at_the_server(home: Path) -> None:
    tools = mcp_tools(command("real", "--log", home / "log"), name="real", home=home)

    async def given_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await named(tools, "slow").call({"seconds": 1}, ToolContext())

    asyncio.run(given_up())
    time.sleep(1)
    assert (home / "log").read_text() == "slow\n"


def test_a_server_that_dies_in_a_call_is_started_again(home: Path) -> None:
    tools = mcp_tools(command("real", "--log", home / "log"), name="real", home=home)
    with pytest.raises(TimeoutError, match="before its answer came"):
        call(named(tools, "die"))
    assert call(named(tools, "add"), a=1, b=2) == {"result": 3}
    assert (home / "log").read_text() == "die \n"  # not repeated


def test_a_call_with_a_key_is_repeated_under_the_same_key(home: Path) -> None:
    said = {"die": {"idempotency": "request_id"}}
    die = named(mcp_tools(command("real", "--log", home / "log"), name="real", home=home, tools=said), "die")
    assert "request_id" not in die.schema["properties"]
    assert die.settlement == "keyed"
    assert call(die) == "alive"
    assert (home / "log").read_text() == "die key-1\ndie key-1\n"
    with pytest.raises(ToolError, match="unknown"):
        call(die, request_id="mine")


def test_a_server_killed_between_calls_costs_nothing(home: Path) -> None:
    tools = mcp_tools(command("real"), name="real", home=home)
    pid = int(call(named(tools, "pid")))
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: not alive(pid))
    time.sleep(0.3)
    assert int(call(named(tools, "pid"))) != pid


@pytest.mark.slow
def test_an_http_server_that_was_restarted_is_found_again(home: Path) -> None:
    port = free_port()
    with http("real", port=port) as url:
        tools = mcp_tools(url, name="real", home=home, tools={"add": {"effect": "read"}})
        assert call(named(tools, "add"), a=1, b=2) == {"result": 3}
    with http("real", port=port):
        assert call(named(tools, "add"), a=1, b=2) == {"result": 3}
    with pytest.raises(ToolError, match=r"cannot be reached|ConnectError|connection"):
        call(named(tools, "add"), a=1, b=2)
    with http("real", "--log", home / "log", port=port):  # not even an irreversible call is in doubt
        assert call(named(tools, "pay"), to="ann", amount=1) == "paid"
    assert (home / "log").read_text() == "pay ann 1 \n"


def test_an_irreversible_call_of_a_server_that_is_away_is_no_doubt(home: Path) -> None:
    with http("real") as url:
        tools = mcp_tools(url, name="real", home=home)
    with pytest.raises(ToolError, match=r"cannot be reached|ConnectError"):
        call(named(tools, "pay"), to="ann", amount=1)


def test_servers_end_with_their_parent(home: Path, tmp_path: Path) -> None:
    import subprocess

    program = (
        "import asyncio, os, signal, sys\nfrom mainspring.tools.mcp import mcp_tools\n"
        "from mainspring.tool import ToolContext\n"
        f"tools = mcp_tools({command('real')!r}, name='real', home={str(home)!r})\n"
        "(pid,) = [t for t in tools if t.remote == 'pid']\n"
        "print(asyncio.run(pid.call({}, ToolContext())), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL) if sys.argv[1] == 'killed' else None\n"
    )
    for how in ("killed", "ended"):
        done = subprocess.run([sys.executable, "-c", program, how], capture_output=True, text=True, timeout=60)
        pid = int(done.stdout)
        assert until(lambda pid=pid: not alive(pid)), how


def test_a_server_inherits_no_secrets(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ours")
    tools = mcp_tools(
        command("real"),
        name="real",
        home=home,
        env={"TOKEN": "secret:mail", "PLAIN": "yes"},
        resolve={"secret:mail": "t0ken"}.__getitem__,
    )
    seen = call(named(tools, "environment"))
    assert "sk-ours" not in seen
    assert "TOKEN=t0ken" in seen
    assert "PLAIN=yes" in seen
    assert "MAINSPRING" not in seen
    assert "t0ken" not in repr(tools.server.settings)
    with pytest.raises(ToolError, match="secret:mail cannot be filled in"):
        mcp_tools(command("real"), name="other", home=home, env={"TOKEN": "secret:mail"})


def test_a_bearer_token_is_sent_and_not_kept(home: Path, tmp_path: Path) -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    seen: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.headers.get("authorization"))
            self.send_error(401)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    file = tmp_path / "c.toml"
    file.write_text(
        f'[mcp.mail]\nurl = "http://127.0.0.1:{server.server_address[1]}/mcp"\nbearer = "secret:mail"\n'
        '[secrets]\nmail = "env:MAIL_TOKEN"\n'
    )
    with pytest.raises(ToolError) as error:
        mcp_tools(name="mail", home=home, config=load_config(path=file), resolve=lambda name: "t0ken")
    server.shutdown()
    assert set(seen) == {"Bearer t0ken"}
    assert "t0ken" not in str(error.value)


def test_a_person_says_what_a_servers_tools_do(home: Path) -> None:
    tools = mcp_tools(
        command("real"),
        name="real",
        home=home,
        only=["letters_as_text", "pay"],
        tools={
            "letters_as_text": {"effect": "read", "outside": False, "fields": {"[].id": "system"}, "readers": ["ann"]},
            "pay": {"authority": ["to"], "selector": ["amount"]},
        },
    )
    assert [t.remote for t in tools] == ["letters_as_text", "pay"]
    letters, pay = tools
    assert not letters.consequential
    assert letters.result_labels == {
        "": Label(frozenset({"mcp:real"}), frozenset({"ann"})),
        "[].id": Label(frozenset({"made:real_letters_as_text"}), frozenset({"ann"})),
    }
    assert call(letters) == [{"id": 7, "body": "hello"}]  # its fields have names now, so it is read as JSON
    assert [pay.role(a) for a in ("to", "amount", "request_id")] == ["authority", "selector", "payload"]
    with pytest.raises(DeclarationError, match=r"authority \['too'\] names no argument of real_pay"):
        mcp_tools(command("real"), name="real", home=home, tools={"pay": {"authority": ["too"]}})


def test_which_server_is_meant(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(f"[mcp.real]\ncommand = {command('real')!r}\nonly = ['add']\n")
    config = load_config(path=file)
    assert [t.name for t in mcp_tools(name="real", home=home, config=config)] == ["real_add"]
    with pytest.raises(DeclarationError, match="already says what MCP server 'real' is"):
        mcp_tools(command("real"), name="real", home=home, config=config)
    with pytest.raises(DeclarationError, match=r"no MCP server 'mail' is configured .*; configured: real"):
        mcp_tools(name="mail", home=home, config=config)
    with pytest.raises(DeclarationError, match=r"there is no mainspring\.toml"):
        mcp_tools(name="mail", home=home, config=Config())
    with pytest.raises(DeclarationError, match="cannot name a server"):
        mcp_tools(command("real"), name="no name", home=home)


def test_an_agent_runs_them_with_the_servers_label(home: Path, workspace: Path) -> None:
    tools = mcp_tools(command("real"), name="real", home=home, tools={"add": {"effect": "read", "outside": False}})
    model = ScriptedModel([ToolCallPart("c", "real_add", {"a": 2, "b": 40}), "done"])
    run = Agent("clerk", model=model, tools=[named(tools, "add")]).run_sync("add", home=home, workspace=workspace)
    assert run.status == "done", run.reason
    (done,) = [e for e in run.events() if e.kind == "effect.done"]
    assert "mcp:real" in done.label.sources
    assert done.payload["is_error"] is False


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("effect.before_act", marks=pytest.mark.slow),
        "effect.acted",
        pytest.param("outcome.before_commit", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("keyed", [False, True])
def test_killed_in_a_call_it_happens_once_or_a_person_is_asked(home: Path, point: str, keyed: bool) -> None:
    import subprocess

    said = {"pay": {"idempotency": "request_id"}} if keyed else {}
    program = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parents[1] / "mcp_servers")!r})
from mcp_start import command
from mainspring import Agent, Policy, Run, ScriptedModel, ToolCallPart, points
from mainspring.tools.mcp import mcp_tools
def die(at):
    if at == {point!r} and sys.argv[1] == "first":
        os.kill(os.getpid(), signal.SIGKILL)
points.hook = die
tools = mcp_tools(command("real", "--log", {str(home / "log")!r}), name="real", home={str(home)!r}, only=["pay"],
                  tools={said!r})
model = ScriptedModel([ToolCallPart("c", "real_pay", {{"to": "ann", "amount": 3}}), "paid it"])
agent = Agent("clerk", model=model, tools=tools, policy=Policy(allow=["*"]))
if sys.argv[1] == "first":
    agent.run_sync("pay ann", home={str(home)!r}, run_id="r1")
else:
    print(Run.load("r1", home={str(home)!r}).resume_sync(agent).status)
"""
    first = subprocess.run([sys.executable, "-c", program, "first"], check=False, capture_output=True, text=True)
    assert first.returncode == -signal.SIGKILL, first.stderr
    again = subprocess.run([sys.executable, "-c", program, "again"], check=False, capture_output=True, text=True)
    assert again.stdout.strip() == ("done" if keyed else "in_doubt"), again.stderr
    lines = (home / "log").read_text().splitlines() if (home / "log").exists() else []
    if keyed:
        assert len(set(lines)) == 1  # the service sees one key, however often
    else:
        assert len(lines) == (0 if point == "effect.before_act" else 1)
        (doubt,) = Run.load("r1", home=home).pending()
        assert doubt.tool == "real_pay"


def test_names_that_cannot_be_offered(home: Path, tmp_path: Path) -> None:
    long = "a" * 100
    file = write(tmp_path / "l", [find(n) for n in ("a.b", "a/b", "ok", "\u202eevil", long, "file", "no space")])
    tools = mcp_tools(command("listing", file), name="read", home=home)
    offered = {t.remote: t.name for t in tools}
    assert offered["ok"] == "read_ok"
    assert offered[long].startswith("read_aaa")
    assert len(offered[long]) == 64
    assert set(offered) == {"ok", long}
    withheld = tools.server.withheld
    assert "like another tool" in withheld["a.b"]
    assert "like another tool" in withheld["a/b"]
    assert "Mainspring's own" in withheld["file"]
    assert "cannot be used" in withheld["\\u202eevil"]
    assert "cannot be used" in withheld["no space"]


def test_two_servers_cannot_give_one_name(home: Path, tmp_path: Path) -> None:
    one = write(tmp_path / "1", [find("b_c")])
    two = write(tmp_path / "2", [find("c")])
    tools = [
        *mcp_tools(command("listing", one), name="a", home=home),
        *mcp_tools(command("listing", two), name="a_b", home=home),
    ]
    with pytest.raises(DeclarationError, match="two tools are called 'a_b_c'"):
        Agent("x", model="local", tools=tools)


def test_pages_are_followed_to_their_end(home: Path, tmp_path: Path) -> None:
    pages = {"pages": [[find("a"), find("b")], [find("c")]]}
    tools = mcp_tools(command("listing", write(tmp_path / "l", pages)), name="s", home=home)
    assert [t.remote for t in tools] == ["a", "b", "c"]
