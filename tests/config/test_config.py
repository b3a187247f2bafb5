"""`mainspring.toml`: what it may say, what is refused with which words, and where it is looked for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring import Tool, tool
from mainspring.config import Config, find_config, load_config, said
from mainspring.config.checks import find_line
from mainspring.errors import DeclarationError
from mainspring.label import Label


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "mainspring.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


FULL = """
[policy]
file = "mine.cedar"
limits = ["/etc/mainspring/company.cedar"]

[people.ann]
roles = ["finance", "lead"]
limits = { amount = 1000 }

[approvals]
ttl = "24h"
[[approvals.rules]]
tools = ["pay*"]
people = 2
approvers = ["finance"]
argument = "amount"
above = 500

[tools.send_mail]
effect = "irreversible"
authority = ["to"]
fields = { "[].id" = "system" }
readers = ["ann"]

[mcp.files]
command = "npx files-server --root 'my files'"
env = { TOKEN = "secret:files" }
cwd = "/srv"
[mcp.files.tools.read]
effect = "read"
outside = false

[mcp.mail]
url = "https://mail.example.org/mcp"
bearer = "secret:files"
pinning = "person"
timeout_s = "2m"

[secrets]
files = "env:FILES_TOKEN"
web = { from = "file:web.token", tools = ["post"], hosts = ["api.example.org"] }

[sandbox]
hosts = ["pypi.org", "*.example.org:8443"]
memory_mb = 2048
[library]
transcriber = "http://gpu:8000/v1#whisper"
[memory]
ttl = "30d"
max_records = 20
"""


def test_everything_that_may_be_said(tmp_path: Path) -> None:
    path = written(tmp_path, FULL)
    config = load_config(path=path)
    assert config.digest == hashlib.sha256(FULL.encode()).hexdigest()
    assert config.file(config.policy.file) == tmp_path / "mine.cedar"
    assert config.file(config.policy.limits[0]) == Path("/etc/mainspring/company.cedar")
    assert (config.people["ann"].roles, config.people["ann"].limits) == (("finance", "lead"), {"amount": 1000.0})
    assert config.approvals.ttl == 86400
    (rule,) = config.approvals.rules
    assert (rule.tools, rule.people, rule.argument, rule.above) == (("pay*",), 2, "amount", 500.0)
    assert config.tools["send_mail"].authority == ("to",)
    files, mail = config.mcp["files"], config.mcp["mail"]
    assert files.command == ("npx", "files-server", "--root", "my files")
    assert files.tools["read"].outside is False
    assert (mail.pinning, mail.timeout_s, mail.connect_s) == ("person", 120.0, 30.0)
    assert config.secrets["files"] == "env:FILES_TOKEN"
    assert config.secrets["web"] == {"from": "file:web.token", "tools": ("post",), "hosts": ("api.example.org",)}
    assert (config.sandbox.hosts[1], config.sandbox.memory_mb) == ("*.example.org:8443", 2048)
    assert (config.library.transcriber, config.library.embedder) == ("http://gpu:8000/v1#whisper", "")
    assert (config.memory.enabled, config.memory.ttl, config.memory.max_records) == (True, 30 * 86400, 20)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[tols.x]\neffect='read'", "line 1: tols is no setting; did you mean 'tools'? known here: approvals, fleet"),
        ("[timetables]\nenabled = true", "line 1: timetables is no setting"),
        ("\n[tools.x]\nefect = 'read'", "line 3: tools.x.efect is no setting; did you mean 'effect'?"),
        ("[tools.x]\neffect = 'reads'", "line 2: tools.x.effect is 'reads'; allowed: 'read', 'write', 'irreversible'"),
        ("[tools.x]\neffect = ['read']", "tools.x.effect is ['read']; allowed"),
        ("[tools.x]\nauthority = ['to', 'to']", "allowed: each name once"),
        ("[tools.x]\nauthority = [1]", "allowed: a list of texts"),
        ("[tools.x]\nauthority = ['to']\nselector = ['to']", "cannot be authority and selector at once"),
        ("[tools.x]\noutside = 'no'", "line 2: tools.x.outside is 'no'; allowed: true or false"),
        ("[tools.x]\nfields = { a = 'mine' }", "tools.x.fields.a is 'mine'; allowed: 'system', 'attested', 'anyone'"),
        ("[tools.x]\nkey_ttl_s = 3", "goes with idempotency"),
        ("tools = 3", "tools is 3; allowed: a table, written [tools]"),
        ("[tools]\nx = 'read'", "tools.x is 'read'; allowed: a table, written [tools.x]"),
        ("[approvals]\nttl = 'soon'", "line 2: approvals.ttl is 'soon'; allowed: a number of seconds above 0"),
        ("[approvals]\nttl = -1", "approvals.ttl is -1"),
        ("[approvals]\nttl = inf", "approvals.ttl is inf"),
        ("[approvals]\nrules = 3", "a list of tables, each written [[approvals.rules]]"),
        ("[[approvals.rules]]\npeople = 0", "a whole number from 1"),
        ("[[approvals.rules]]\npeople = true", "a whole number from 1"),
        ("[[approvals.rules]]\nabove = 3", "argument and above belong together"),
        ("[people.ann]\nlimits = { amount = 'much' }", "people.ann.limits.amount is 'much'; allowed: a number from 0"),
        ("[mcp.a]", "mcp.a needs a command or a url, and not both"),
        ("[mcp.a]\ncommand = 'x'\nurl = 'https://x'", "needs a command or a url, and not both"),
        ("[mcp.a]\ncommand = 'x \"'", "a command line (No closing quotation)"),
        ("[mcp.a]\ncommand = ''", "a command line, or a list"),
        ("[mcp.a]\ncommand = ['']", "a command line, or a list"),
        ("[mcp.a]\nurl = 'ftp://x'", "an address such as https://"),
        ("[mcp.a]\nurl = 'https://[x'", "an address such as https://"),
        ("[mcp.a]\nurl = 'https://x:99999/'", "an address such as https://"),
        ("[mcp.a]\nurl = 'https://ann:pw@x/'", "mcp.a.url holds a password; name it instead"),
        ("[mcp.a]\nurl = 'http://x.org/mcp'", "anybody on the way can read and change; use https://"),
        ("[mcp.a]\nurl = 'https://x'\nbearer = 'sk-123'", "mcp.a.bearer is no reference"),
        ("[mcp.a]\nurl = 'https://x'\nenv = { A = 'b' }", "env and cwd go with a command"),
        ("[mcp.a]\ncommand = 'x'\nheaders = { A = 'b' }", "headers and bearer go with a url"),
        ("[mcp.a]\ncommand = 'x'\nenv = { 'A B' = 'b' }", "names of environment variables"),
        ("[mcp.a]\nurl = 'https://x'\nheaders = { A = \"b\\nc\" }", "on one line"),
        ("[mcp.'a b']\ncommand = 'x'", "'a b' cannot name a server"),
        ("[mcp.a]\ncommand = 'x'\nenv = { T = 'secret:t' }", "T names the secret 't', which [secrets] lacks"),
        ("[mcp.a]\ncommand = 'x'\n[mcp.a.tools.b]\neffekt = 'read'", "line 4: mcp.a.tools.b.effekt is no setting"),
        ("[secrets]\na = 'sk-123'", "secrets.a does not say where the secret is kept"),
        ("[secrets]\na = 'env:'", "never the secret itself"),
        ("[secrets]\na = { tools = ['x'] }", "secrets.a needs from"),
        ("[secrets]\na = { from = 'sk-123' }", "secrets.a.from does not say where the secret is kept"),
        ("[mcp.a]\nurl = 'https://x'\nheaders = { A = 'b {secret:t}' }", "A names the secret 't'"),
        ("[sandbox]\nhosts = ['https://pypi.org']", "without http://"),
        ("[sandbox]\nmemory_mb = 0.5", "a whole number from 1"),
        ("[tools.x\neffect = 'read'", "is no TOML"),
        ("a = 1\na = 2", "is no TOML"),
        (b"[tools.x]\neffect = '\xff'", "line 2: byte 0xff is no UTF-8"),
    ],
    ids=range(49),
)
def test_what_is_refused_and_why(tmp_path: Path, text: str | bytes, complaint: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(DeclarationError) as error:
        load_config(path=path)
    assert str(error.value).startswith(str(path))
    assert complaint in str(error.value)
    assert "sk-123" not in str(error.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="No such file"):
        load_config(path=tmp_path / "nothing.toml")
    with pytest.raises(DeclarationError, match="is no file"):
        load_config(path=tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DeclarationError, match="is no file"):
        load_config(path=tmp_path / "pipe")
    path = written(tmp_path, "#" * 1_000_001)
    with pytest.raises(DeclarationError, match="at most 1,000,000"):
        load_config(path=path)
    path.write_text("x = " + "[" * 100_000)
    with pytest.raises(DeclarationError, match=r"is nested too deeply|is no TOML"):
        load_config(path=path)


def test_a_file_that_everybody_can_change_gives_no_authority(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    path.chmod(0o666)
    with pytest.raises(DeclarationError, match="chmod o-w"):
        load_config(path=path)


def test_where_it_is_looked_for(tmp_path: Path, home: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAINSPRING_CONFIG", raising=False)
    monkeypatch.setenv("MAINSPRING_HOME", str(home))
    monkeypatch.chdir(workspace)
    written(workspace, "[tools.pay]\neffect = 'read'")  # a repository may carry one; it is never read
    assert load_config() == Config()
    assert find_config() is None
    own = written(home, "[memory]\nenabled = false")
    assert load_config().path == own
    assert load_config(home).memory.enabled is False
    other = tmp_path / "other.toml"
    monkeypatch.setenv("MAINSPRING_CONFIG", str(other))
    with pytest.raises(DeclarationError, match=r"MAINSPRING_CONFIG names .* not there"):
        load_config()
    other.write_text("")
    assert load_config(home).path == other
    (tmp_path / "h2").mkdir()
    monkeypatch.delenv("MAINSPRING_CONFIG")
    (tmp_path / "h2" / "mainspring.toml").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DeclarationError, match="cannot be read"):
        load_config(tmp_path / "h2")


def plain_error(read: Callable[[], Config]) -> str:
    """What the error says, or the file that was read without one."""
    try:
        return str(read().path)
    except DeclarationError as error:
        return str(error)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_bytes_do_more_than_raise_a_plain_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    path.write_bytes(data)
    assert str(path) in plain_error(lambda: load_config(path=path))


_LEAF = st.one_of(st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.integers(), max_size=2))
_SECTION = st.sampled_from(["tools", "mcp", "people", "approvals", "secrets", "sandbox", "policy", "memory"])


@given(st.dictionaries(_SECTION, st.recursive(_LEAF, lambda s: st.dictionaries(st.text(max_size=6), s, max_size=3))))
@settings(max_examples=200, deadline=None)
def test_no_tables_do_more_than_raise_a_plain_error(tables: dict[str, Any]) -> None:
    from mainspring.config.load import _checked

    assert plain_error(lambda: _checked(Path("/c.toml"), "", tables, "")).startswith("/c.toml")


def test_lines_are_found() -> None:
    assert find_line(FULL, ("people", "ann", "limits")) == 8
    assert find_line(FULL, ("mcp", "files", "tools", "read", "outside")) == 31
    assert find_line(FULL, ("mcp", "files", "tools", "write")) == 25  # the nearest above it
    assert find_line("[a]\nb.c = 1", ("a", "b", "c")) == 2
    assert find_line("", ("a",)) is None


# -- what a person says of a tool ----------------------------------------------------------------------------------


@tool(effect="write", authority=["to"], fields={"id": "system"})
def send(to: str, body: str, folder: str = "") -> dict[str, Any]:
    """Send a letter."""
    return {"id": 1, "to": to, "body": body, "folder": folder}


@tool
def silent(to: str, key: str = "") -> str:
    """A tool that says nothing."""
    return to + key


def with_settings(made: Tool, **keys: Any) -> Tool:
    from mainspring.config import configured, read_tool
    from mainspring.config.checks import At

    return configured(made, read_tool(keys, At("c.toml", "", ("tools", made.name))))


def test_stricter_and_looser_and_who_said_so() -> None:
    assert Config().apply_to(send) is send
    strict = with_settings(send, effect="irreversible", authority=["to", "body"], selector=["folder"])
    assert [strict.role(a) for a in ("to", "body", "folder")] == ["authority", "authority", "selector"]
    assert strict.effect == "irreversible"
    assert send.effect == "write"  # the original is as it was
    assert send.role("body") == "payload"
    loose = with_settings(silent, effect="read", outside=False, fields={"": "attested"})
    assert not loose.consequential
    assert loose.parallel
    assert loose.result_labels[""] == Label(frozenset({"attested:silent"}))
    assert silent.consequential
    assert said(silent)["effect"] == "assumed"
    assert said(send)["effect"] == "declared"
    assert said(strict)["effect"] == "configured"
    assert said(tool(effect="irreversible")(silent.function))["effect"] == "declared"
    assert said(with_settings(silent, authority=["to"]))["effect"] == "assumed", "roles say nothing of the effect"
    about: Mapping[str, str] = said(loose)
    assert (about["effect"], about["outside"], about["fields"], about["authority"]) == (
        *["configured"] * 3,
        "assumed",
    )


def test_readers_hold_for_every_field() -> None:
    made = with_settings(send, readers=["ann"])
    assert {label.readers for label in made.result_labels.values()} == {frozenset({"ann"})}
    assert made.fields["id"].sources == frozenset({"made:send"})


def test_a_selector_takes_the_argument_out_of_authority() -> None:
    made = with_settings(send, selector=["to"])
    assert [made.role(a) for a in ("to", "body")] == ["selector", "payload"]


def test_the_copy_works_as_the_tool_does() -> None:
    made = with_settings(send, effect="read")
    assert made(to="ann", body="x")["to"] == "ann"
    assert made.validate({"to": "ann", "body": "x"})["to"] == "ann"
    assert made.spec == send.spec


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"authority": ["too"]}, r"c\.toml: tools\.send: authority \['too'\] names no argument of send; it has"),
        ({"selector": ["too"]}, "selector"),
        ({"idempotency": "nothing"}, "idempotency"),
        ({"idempotency": "to", "authority": ["to"]}, "can be no authority"),
    ],
)
def test_settings_that_do_not_fit_the_tool(keys: dict[str, Any], complaint: str) -> None:
    with pytest.raises(DeclarationError, match=complaint):
        with_settings(send, **keys)


def test_a_key_for_a_tool_that_others_wrote() -> None:
    schema = {"type": "object", "properties": {"to": {}, "key": {}}, "required": ["to", "key"]}
    foreign = Tool.from_schema(lambda **kw: kw, name="pay", description="", schema=schema)
    made = with_settings(foreign, idempotency="key", key_ttl_s=60)
    assert made.schema == {"type": "object", "properties": {"to": {}}, "required": ["to"]}
    assert (made.settlement, made.key_ttl_s, said(made)["idempotency"]) == ("keyed", 60, "configured")
    assert "key" in foreign.schema["properties"]
