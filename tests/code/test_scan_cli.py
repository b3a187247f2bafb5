"""`mainspring code scan`: files, a diff on standard input, fixes, advisories."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mainspring.cli.code_scan import scan

FAULT = "def f(app):\n    app.run(debug=True)\n"
DIFF = "--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,3 @@\n def f(app):\n     app.run(debug=True)\n+    eval(app)\n"


@pytest.fixture
def here(workspace: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("MAINSPRING_HOME", str(home))
    (workspace / "a.py").write_text(FAULT)
    return workspace


def call(*arguments: str, given: str | None = None) -> tuple[object, str]:
    done = CliRunner().invoke(scan, arguments, input=given, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.return_value, done.output


def test_files_are_scanned_and_mended(here: Path) -> None:
    status, said = call("a.py")
    assert status == 1
    assert "a.py:2: high debug-on CWE-489" in said
    assert call("--fix")[0] == 0
    assert (here / "a.py").read_text() == FAULT.replace("True", "False")


def test_a_diff_is_scanned_and_the_files_stay(here: Path) -> None:
    status, said = call("--diff", "-", "--json", given=DIFF)
    rows = {row["rule"]: row["introduced"] for row in map(json.loads, said.splitlines())}
    assert rows == {"code-injection": True, "debug-on": False}
    assert status == 1
    assert (here / "a.py").read_text() == FAULT


@pytest.mark.parametrize("name", ["../a.py", "/etc/passwd"])
def test_a_diff_that_leaves_the_folder_is_refused(here: Path, name: str) -> None:
    with pytest.raises(Exception, match="outside this folder"):
        call("--diff", "-", given=DIFF.replace("b/a.py", f"b/{name}"))


def test_a_diff_that_does_not_apply_is_refused(here: Path) -> None:
    with pytest.raises(Exception, match="does not apply"):
        call("--diff", "-", given=DIFF.replace("def f", "def g"))


def test_advisories_are_taken_in(here: Path, home: Path) -> None:
    entry = {"id": "X-1", "affected": [{"package": {"ecosystem": "PyPI", "name": "a"}, "versions": ["1"]}]}
    (here / "x.json").write_text(json.dumps(entry))
    assert "1 advisory taken in" in call("--import-advisories", "x.json")[1]
    assert json.loads(call("--import-advisories", "x.json", "--json")[1]) == {"advisories": 1}
    assert (home / "advisories" / "advisories.db").is_file()


def test_a_diff_without_changes_has_no_findings(here: Path) -> None:
    status, said = call("--diff", "-", given="")
    assert (status, said) == (0, "nothing found\n")


def test_fix_names_what_it_mended(here: Path) -> None:
    (here / "b.py").write_text("x = 1\n")
    said = call("--fix")[1]
    assert "mended a.py" in said
    assert "b.py" not in said


def test_fix_says_that_nothing_could_be_mended(here: Path) -> None:
    (here / "a.py").write_text("import pickle\n\ndef f(data):\n    return pickle.loads(data)\n")
    status, said = call("--fix")
    assert status == 1
    assert "no finding has a safe fix" in said
