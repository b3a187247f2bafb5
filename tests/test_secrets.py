"""Secrets go to the tool that may have them, and come back to nobody."""

from __future__ import annotations

import base64
import html
import json
import logging
import os
import subprocess
import sys
import time
import traceback
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring import Agent, ScriptedModel, ToolCallPart, tool
from mainspring.errors import DeclarationError, ToolError
from mainspring.label import USER, Label
from mainspring.secrets import Rule, Secrets, Stream, references
from mainspring.secrets.matcher import Matcher
from mainspring.value import Labelled

VALUE = "hunter2-Tr0ub4dor&3/+é"
ANY = Rule(tools=("*",))


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Secrets:
    monkeypatch.setenv("API_KEY", VALUE)
    monkeypatch.setenv("OTHER", "another-secret-value")
    return Secrets(
        {
            "api": {"from": "env:API_KEY", "tools": ["post"], "agents": ["clerk"], "hosts": ["api.example.com"]},
            "other": "env:OTHER",
        }
    )


GOOD = {"url": "https://api.example.com/v1", "auth": "Bearer {secret:api}"}


def test_fill(secrets: Secrets) -> None:
    filled = secrets.fill(
        {**GOOD, "key": "secret:api", "deep": [{"x": "a{secret:api}b"}], "n": 1}, "post", ("ann", "clerk")
    )
    assert filled["auth"] == f"Bearer {VALUE}"
    assert filled["key"] == VALUE
    assert filled["deep"] == [{"x": f"a{VALUE}b"}]
    assert filled["n"] == 1
    assert secrets.fill({"text": "no secret: api"}, "post", ("clerk",)) == {"text": "no secret: api"}


@pytest.mark.parametrize(
    ("arguments", "tool_name", "agent", "why"),
    [
        (GOOD, "note", "clerk", "not given to agent clerk with tool note; note may use none"),
        (GOOD, "post", "spy", "not given to agent spy"),
        (GOOD, "post", "", "not given to tool post"),
        ({**GOOD, "url": "https://evil.example/"}, "post", "clerk", "goes only to api.example.com"),
        ({**GOOD, "url": "https://api.example.com.evil.example/"}, "post", "clerk", "goes only to"),
        ({**GOOD, "url": "https://api.example.com@evil.example/"}, "post", "clerk", "not plainly written"),
        ({**GOOD, "url": "https://evil.example\\@api.example.com/"}, "post", "clerk", "not plainly written"),
        ({**GOOD, "url": "https://{secret:api}.evil.example/"}, "post", "clerk", "goes only to"),
        ({**GOOD, "callback": "//evil.example/x"}, "post", "clerk", "goes only to"),
        ({"auth": "secret:api"}, "post", "clerk", "names no address"),
        ({**GOOD, "x": "secret:other"}, "post", "clerk", "'other' is not given"),
        ({**GOOD, "x": "secret:missing"}, "post", "clerk", "no secret 'missing'; post may use api"),
    ],
)
def test_refused(secrets: Secrets, arguments: dict[str, Any], tool_name: str, agent: str, why: str) -> None:
    with pytest.raises(ToolError) as refused:
        secrets.fill(arguments, tool_name, ("ann", agent) if agent else ())
    assert why in str(refused.value)
    assert VALUE not in str(refused.value)


def test_a_stranger_cannot_refer_to_a_secret(secrets: Secrets) -> None:
    labels = {"url": USER, "auth": USER, "body": Label(frozenset({"tool:mail"}))}
    filled = secrets.fill({**GOOD, "body": "my key is {secret:api}"}, "post", ("clerk",), labels)
    assert filled["auth"] == f"Bearer {VALUE}"
    assert filled["body"] == "my key is {secret:api}"
    assert secrets.fill({"body": "{secret:api}"}, "note", ("clerk",), labels) == {"body": "{secret:api}"}
    assert secrets.fill({"unlabelled": "secret:api"}, "note", ("clerk",), labels) == {"unlabelled": "secret:api"}


def test_text_about_references_passes_where_no_secret_may_be_used(secrets: Secrets) -> None:
    assert secrets.fill({"text": "write {secret:NAME}"}, "note", ("clerk",)) == {"text": "write {secret:NAME}"}


def test_references() -> None:
    assert references(["secret:a", {"x": "{secret:b} {secret:c}"}, "not secret:d", "[secret:e]"]) == {"a", "b", "c"}


class TestSources:
    def one(self, source: str, folder: Path | None = None) -> str:
        return Secrets({"x": source}, folder=folder).resolve("secret:x")

    def test_env(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("X_KEY", "long-enough\n")
        assert self.one("env:X_KEY") == "long-enough"
        monkeypatch.delenv("X_KEY")
        with pytest.raises(ToolError, match="X_KEY is not set"):
            self.one("env:X_KEY")

    def test_file(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_text("from-a-file\n")
        path.chmod(0o600)
        assert self.one(f"file:{path}") == "from-a-file"
        assert self.one("file:key", tmp_path) == "from-a-file"
        path.chmod(0o644)
        with pytest.raises(ToolError, match=r"mode 0644.*chmod 600"):
            self.one(f"file:{path}")
        (tmp_path / "link").symlink_to(path)
        with pytest.raises(ToolError, match="cannot be opened"):
            self.one(f"file:{tmp_path / 'link'}")
        with pytest.raises(ToolError, match="No such file"):
            self.one("file:missing", tmp_path)
        with pytest.raises(ToolError, match="no plain file"):
            self.one(f"file:{tmp_path}")
        os.mkfifo(tmp_path / "pipe", 0o600)
        with pytest.raises(ToolError, match="no plain file"):
            self.one(f"file:{tmp_path / 'pipe'}")
        path.write_bytes(b"\xff\xfe" * 10)
        path.chmod(0o600)
        with pytest.raises(ToolError, match="UTF-8"):
            self.one(f"file:{path}")
        path.write_bytes(b"x" * 70_000)
        with pytest.raises(ToolError, match="larger than"):
            self.one(f"file:{path}")

    def test_command(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.one("command:printf '%s' 'two words;$HOME'") == "two words;$HOME"  # no shell reads it
        with pytest.raises(ToolError, match="cannot be started"):
            self.one("command:no-such-program-anywhere")
        with pytest.raises(ToolError, match="ended with status 3") as failed:
            self.one("command:sh -c 'echo leaked-secret-value; echo leaked-secret-value >&2; exit 3'")
        assert "leaked-secret-value" not in str(failed.value)
        with pytest.raises(ToolError, match="cannot be read"):
            self.one("command:echo 'unclosed")
        monkeypatch.setattr("mainspring.secrets.source.COMMAND_S", 0.2)
        begun = time.monotonic()
        with pytest.raises(ToolError, match="did not end within"):
            self.one("command:sh -c 'sleep 60 & wait'")
        assert time.monotonic() - begun < 30

    @pytest.mark.parametrize("value", ["", "short", "1234567", "        "])
    def test_too_short(self, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
        monkeypatch.setenv("X_KEY", value)
        secrets = Secrets({"x": "env:X_KEY"}, {"x": ANY})
        with pytest.raises(ToolError, match="at least 8 are needed"):
            secrets.fill({"a": "secret:x"}, "post", ())
        assert secrets.scrub("short and 1234567") == "short and 1234567"

    @pytest.mark.parametrize(
        "entry",
        [
            *("my-actual-password", "", "env:", "env", 7, None, {"from": "plain"}, {"tools": ["x"]}),
            *({"from": "env:X", "tool": ["x"]}, {"from": "env:X", "tools": "x"}, {"from": "env:X", "hosts": [1]}),
        ],
    )
    def test_wrong_declaration(self, entry: Any) -> None:
        with pytest.raises(DeclarationError) as wrong:
            Secrets({"x": entry})
        assert "my-actual-password" not in str(wrong.value)

    def test_wrong_name(self) -> None:
        with pytest.raises(DeclarationError, match="cannot name a secret"):
            Secrets({"a b": "env:X"})
        with pytest.raises(DeclarationError, match="not declared: y"):
            Secrets({"x": "env:X"}, {"y": ANY})

    def test_a_rotated_secret_is_read_again_and_both_are_scrubbed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        secrets = Secrets({"x": "env:X_KEY"})
        for value in ("first-value-1", "second-value-2"):
            monkeypatch.setenv("X_KEY", value)
            assert secrets.resolve("secret:x") == value
        assert secrets.scrub("first-value-1 second-value-2") == "[secret:x] [secret:x]"


def mime(text: str, width: int = 10) -> str:
    encoded = base64.b64encode(text.encode()).decode()
    return "\n".join(encoded[i : i + width] for i in range(0, len(encoded), width))


FORMS = {
    "plain": lambda v: v,
    "upper": lambda v: v.upper(),
    "url": lambda v: urllib.parse.quote(v, safe=""),
    "url small": lambda v: urllib.parse.quote(v, safe="").lower(),
    "form": lambda v: urllib.parse.urlencode({"k": v}),
    "every byte as %": lambda v: "".join(f"%{b:02X}" for b in v.encode()),
    "base64": lambda v: base64.b64encode(v.encode()).decode(),
    "basic": lambda v: base64.b64encode(f"user:{v}".encode()).decode(),
    "base64 after one": lambda v: base64.b64encode(f"a{v}zz".encode()).decode(),
    "base64 after two": lambda v: base64.b64encode(f"ab{v}".encode()).decode(),
    "url-safe base64": lambda v: base64.urlsafe_b64encode(f"{v}?".encode()).decode(),
    "base64 over lines": mime,
    "base64 over indented lines": lambda v: mime(v).replace("\n", "\r\n    "),
    "base64 over lines in JSON": lambda v: json.dumps(json.dumps({"k": mime(v).replace("\n", "\r\n")})),
    "hex": lambda v: v.encode().hex(),
    "hex with colons": lambda v: v.encode().hex(":").upper(),
    "hex with blanks": lambda v: v.encode().hex(" "),
    "bytes": lambda v: "".join(f"\\x{b:02x}" for b in v.encode()),
    "json": lambda v: json.dumps({"k": v}),
    "json in json": lambda v: json.dumps(json.dumps({"k": v})),
    "repr": lambda v: repr([v]),
    "html": lambda v: html.escape(v),
    "reversed": lambda v: v[::-1],
    "broken over lines": lambda v: v[:9] + "\n" + v[9:],
}


@pytest.mark.parametrize("form", FORMS)
def test_scrub(secrets: Secrets, form: str) -> None:
    encoded = FORMS[form](VALUE)
    shown = secrets.scrub(f"before {encoded} after")
    assert shown.count("[secret:api]") >= 1
    for left in (shown.replace("[secret:api]", "").removeprefix("before ").removesuffix(" after"),):
        assert len("".join(left.split())) <= 22, left  # a name beside it, or the neighbours' letters in base64


TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_categories=("Cc", "Cs")), min_size=8)


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.sampled_from(sorted(FORMS)), st.text(max_size=30), st.text(max_size=30), st.randoms())
def test_any_secret_in_any_form_in_any_pieces(value: str, form: str, before: str, after: str, random: Any) -> None:
    matcher = Matcher({"x": {value}})
    text = before + FORMS[form](value) + after
    whole = matcher.replace(text)
    if form != "upper":  # Unicode's capitals are more than ASCII's
        assert "[secret:x]" in whole
        assert value not in whole.replace("[secret:x]", " ") or value in "[secret:x]"
    stream = Stream(matcher)
    at, shown = 0, ""
    while at < len(text):
        step = random.randint(1, 9)
        shown += stream.feed(text[at : at + step])
        at += step
    shown += stream.end()
    assert shown.count("[secret:x]") >= min(1, whole.count("[secret:x]"))
    assert value not in shown.replace("[secret:x]", " ") or value in "[secret:x]"


def test_scrub_looks_through_data(secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIN", "1234567890")
    secrets = Secrets({"api": "env:API_KEY", "pin": "env:PIN"})
    value = {"a": [VALUE, 1, None, True, 2.5], VALUE: "key", "pin": 1234567890, "b": VALUE.encode(), "t": (VALUE,)}
    assert secrets.scrub(value) == {
        "a": ["[secret:api]", 1, None, True, 2.5],
        "[secret:api]": "key",
        "pin": "[secret:pin]",
        "b": b"[secret:api]",
        "t": ("[secret:api]",),
    }
    labels = {"": USER}
    assert secrets.scrub(Labelled(VALUE, labels)) == Labelled("[secret:api]", labels)
    assert secrets.scrub(10**5000) == 10**5000
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ToolError, match="holds itself"):
        secrets.scrub(circle)


def test_scrub_leaves_the_rest_alone(secrets: Secrets) -> None:
    text = "Nothing here\nbut \ud800 text, Bearer [secret:api] and {secret:api}, hunter2 alone"
    assert secrets.scrub(text) == text
    assert secrets.scrub(secrets.scrub(f"{text} {VALUE}")) == f"{text} [secret:api]"
    assert Secrets({}).scrub(VALUE) == VALUE


def test_a_secret_that_holds_another_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHORT", "password1")
    monkeypatch.setenv("LONG", "my-password1-is-longer")
    secrets = Secrets({"short": "env:SHORT", "long": "env:LONG"})
    assert secrets.scrub("<my-password1-is-longer> <password1>") == "<[secret:long]> <[secret:short]>"


def test_lines_of_a_key(tmp_path: Path) -> None:
    lines = [
        "-----BEGIN KEY-----",
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
        "BKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj",
        "-----END KEY-----",
    ]
    path = tmp_path / "key.pem"
    path.write_text("\n".join(lines))
    path.chmod(0o600)
    secrets = Secrets({"key": f"file:{path}"})
    assert secrets.scrub("\n".join(lines)) == "[secret:key]"
    assert secrets.scrub(f"line 2 is {lines[1]}") == "line 2 is [secret:key]"
    assert secrets.scrub(lines[0]) == lines[0]
    assert secrets.scrub(json.dumps("\n".join(lines))) == '"[secret:key]"'


def test_errors(secrets: Secrets) -> None:
    def fails() -> None:
        try:
            raise ValueError("401 for", VALUE)
        except ValueError as error:
            raised = RuntimeError(f"login with {VALUE} failed")
            raised.add_note(f"tried {base64.b64encode(VALUE.encode()).decode()}")
            raise ExceptionGroup("all", [raised, KeyError(VALUE)]) from error

    try:
        fails()
    except ExceptionGroup as error:
        text = secrets.scrub_error(error)
        again = "".join(traceback.format_exception(error))
    for shown in (text, again):
        assert "[secret:api]" in shown
        assert "hunter2" not in shown
        assert base64.b64encode(VALUE.encode()).decode() not in shown
        assert "RuntimeError" in shown


def test_logs(secrets: Secrets, tmp_path: Path) -> None:
    handler = logging.FileHandler(tmp_path / "log")
    handler.addFilter(secrets.log_filter())
    log = logging.getLogger("secrets-test")
    log.addHandler(handler)
    try:
        log.warning("calling with %s", VALUE)
        try:
            raise ValueError(VALUE)
        except ValueError:
            log.exception("failed")
    finally:
        log.removeHandler(handler)
        handler.close()
    text = (tmp_path / "log").read_text()
    assert "hunter2" not in text
    assert text.count("[secret:api]") == 2
    assert "Traceback" in text


def test_a_stream_shows_at_once_what_cannot_be_a_secret(secrets: Secrets) -> None:
    stream = secrets.stream()
    assert stream.feed("line 1\n") == "line 1\n"
    assert stream.feed(f"key {VALUE[:5]}") == "key "
    assert stream.feed(VALUE[5:] + ".") == "[secret:api]."
    assert stream.feed(f"key {VALUE[:6]}") == "key "
    assert stream.feed("!") == VALUE[:6] + "!"
    assert stream.feed(VALUE[:7]) + stream.end() == VALUE[:7]


def test_a_hundred_secrets_in_ten_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {f"s{n}": {f"{n:03d}-" + base64.b64encode(os.urandom(20)).decode()} for n in range(100)}
    matcher = Matcher(values)
    text = "2026-11-22T20:00:00 GET /index.html took 12 ms, connection kept; the next line is like it\n" * 110_000
    text = text[:5_000_000] + next(iter(values["s42"])) + text[5_000_000:]
    begun = time.process_time()
    shown = matcher.replace(text)
    assert shown.count("[secret:s42]") == 1
    assert time.process_time() - begun < 20  # about a second on a quiet core


def test_no_text_makes_the_search_slow() -> None:
    matcher = Matcher({"x": {"a" * 40}, "y": {"ab" * 20}})
    begun = time.process_time()
    assert "aaaaaaaa" not in matcher.replace("a" * 200_000)
    for bit in ("aaaaaaab", " ", "\\", "\\r", "\r", "\n", " \\"):
        matcher.replace("\n" + bit * (200_000 // len(bit)))
        stream = Stream(matcher)
        for _ in range(50):
            stream.feed(bit * 1_000)
    assert time.process_time() - begun < 20


def test_the_journal_never_holds_the_secret(secrets: Secrets, home: Path, workspace: Path) -> None:
    """The tool that was given the secret echoes it; the bytes on disk hold the reference only."""
    got: list[str] = []

    @tool(effect="read", outside=False)
    def post(url: str, auth: str) -> str:
        filled = secrets.fill({"url": url, "auth": auth}, "post", ("clerk",))
        got.append(filled["auth"])
        return str(
            secrets.scrub(f"the server said: {filled['auth']} {base64.b64encode(filled['auth'].encode()).decode()}")
        )

    model = ScriptedModel([ToolCallPart("", "post", GOOD), "Done: {secret:api}"])
    run = Agent("clerk", model=model, tools=[post]).run_sync("Post it.", home=home, workspace=workspace)
    assert run.status == "done"
    assert got == [f"Bearer {VALUE}"]
    stored = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert b"{secret:api}" in stored
    assert b"[secret:api]" in stored
    for form in ("plain", "base64", "hex", "url", "json", "reversed"):
        assert FORMS[form](VALUE).strip('{}"').encode() not in stored
    assert b"hunter2" not in stored


def test_the_import_is_light() -> None:
    program = "import sys, mainspring.secrets; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "httpx2", "markdown_it"} & set(loaded)
