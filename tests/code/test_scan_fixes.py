"""A fix keeps what the code does, removes the finding, and brings no new one."""

# ruff: noqa: E501 - a fault beside its twin is read best on one line

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mainspring.code.scan import apply_fixes
from mainspring.code.scan.files import scan_bytes
from mainspring.code.scan.finding import ScanSettings


def mended(text: str, path: str = "app.py") -> str:
    """The text after all its findings were mended; there must be none left."""
    findings = scan_bytes(path, text.encode(), ScanSettings()).findings
    assert findings
    (change,) = apply_fixes(findings, {path: text}).changes
    assert change.after is not None
    after = change.after.decode()
    assert scan_bytes(path, after.encode(), ScanSettings()).findings == []
    return after


def test_a_query_gets_parameters_and_answers_as_before() -> None:
    text = "import sqlite3\ndef find(conn, name):\n    return conn.execute(f\"SELECT n FROM t WHERE n = '{name}'\").fetchall()\n"
    scope: dict[str, object] = {}
    exec(mended(text), scope)
    conn = sqlite3.connect(":memory:")
    conn.execute("CREATE TABLE t(n)")
    conn.execute("INSERT INTO t VALUES ('bob')")
    assert scope["find"](conn, "bob") == [("bob",)]  # type: ignore[operator]
    assert scope["find"](conn, "x' OR '1'='1") == []  # type: ignore[operator]
    conn.close()


def test_a_path_is_fenced(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("fine")
    (tmp_path.parent / "secret.txt").write_text("secret")
    text = f"import os\ndef read(name):\n    with open(os.path.join({str(tmp_path)!r}, name)) as file:\n        return file.read()\n"
    scope: dict[str, object] = {}
    exec(mended(text), scope)
    assert scope["read"]("a.txt") == "fine"  # type: ignore[operator]
    with pytest.raises(ValueError, match="leaves"):
        scope["read"]("../secret.txt")  # type: ignore[operator]


def test_a_word_of_a_command_is_quoted() -> None:
    after = mended(
        "import subprocess\ndef f(h):\n    return subprocess.check_output(f'echo {h}', shell=True, text=True)\n"
    )
    scope: dict[str, object] = {}
    exec(after, scope)
    assert scope["f"]("a; echo b") == "a; echo b\n"  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("import yaml\ndef f(d):\n    return yaml.load(d, Loader=yaml.Loader)\n", "yaml.safe_load(d)"),
        ("import requests\ndef f():\n    return requests.get('https://a.example', verify=False, timeout=3)\n", "('https://a.example', timeout=3)"),
        ("import random\ndef make_token():\n    return random.randint(0, 9)\n", "secrets.SystemRandom().randint(0, 9)"),
        ("import tempfile\ndef f():\n    return tempfile.mktemp('.x')\n", "NamedTemporaryFile(suffix='.x', delete=False).name"),
        ("def f(text):\n    return eval(text)\n", "ast.literal_eval(text)"),
        ("import hashlib\ndef sign(data):\n    return hashlib.md5(data).hexdigest()\n", "hashlib.sha256(data)"),
        ("import hmac\ndef f(k, m, s):\n    return hmac.new(k, m, 'sha256').hexdigest() == s\n", "hmac.compare_digest("),
        ("import tarfile\ndef f(a, d):\n    with tarfile.open(a) as t:\n        t.extractall(d)\n", 'filter="data"'),
        ("def f(r, v):\n    r.set_cookie('session', v)\n", "secure=True, httponly=True"),
        ("def f(app):\n    app.run(debug=True)\n", "debug=False"),
        ("import os\ndef f(p):\n    os.chmod(p, 0o777)\n", "0o700"),
        ("from markupsafe import Markup\ndef f(n):\n    return Markup(f'<b>{n}</b>')\n", "html.escape(str(n))"),
        ("import paramiko\ndef f(c):\n    c.set_missing_host_key_policy(paramiko.AutoAddPolicy())\n", "RejectPolicy"),
    ],
)  # fmt: skip
def test_a_fix_is_what_it_should_be(text: str, holds: str) -> None:
    assert holds in mended(text)


@pytest.mark.parametrize(
    ("path", "text", "holds"),
    [
        ("a.js", "https.request({ rejectUnauthorized: false });\n", "rejectUnauthorized: true"),
        ("a.go", "package a\n\nvar c = &tls.Config{InsecureSkipVerify: true}\n", "InsecureSkipVerify: false"),
        ("a.c", "void f(char *s) { char b[9]; strcpy(b, s); }\n", 'snprintf(b, sizeof(b), "%s", s);'),
    ],
)
def test_other_languages(path: str, text: str, holds: str) -> None:
    assert holds in mended(text, path)


@pytest.mark.parametrize(
    "text",
    [
        "def calculate(expression):\n    return eval(expression)\n",  # more than a literal may be meant
        "def f(conn, table):\n    return conn.execute(f'SELECT * FROM {table} WHERE a = 1')\n",  # a name is no parameter
        "import pickle\ndef f(d):\n    return pickle.loads(d)\n",
    ],
)
def test_what_cannot_be_mended_without_a_change_of_function_is_left(text: str) -> None:
    findings = scan_bytes("a.py", text.encode(), ScanSettings()).findings
    assert findings
    assert not apply_fixes(findings, {"a.py": text})


def test_files_outside_the_folder_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "out.py").write_text("def f(app):\n    app.run(debug=True)\n")
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "link.py").symlink_to(tmp_path / "out.py")
    findings = scan_bytes("link.py", (tmp_path / "out.py").read_bytes(), ScanSettings()).findings
    assert not apply_fixes(findings, inside)
