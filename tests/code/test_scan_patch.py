"""What a patch does besides its code: checks, tests, dependencies, secrets, files that run by themselves."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from mainspring.code.patch import FileChange, Patch
from mainspring.code.scan import Advisories, apply_fixes, import_advisories, scan_files, scan_patch, weakened_tests
from mainspring.code.scan.dependencies import looks_like
from mainspring.code.scan.manifests import dependencies
from mainspring.code.scan.versions import Version
from mainspring.errors import ToolError


def change(path: str, before: str | None, after: str | None) -> Patch:
    sides = [None if text is None else text.encode() for text in (before, after)]
    return Patch((FileChange(path, sides[0], sides[1]),))


def rules(patch: Patch, advisories: Path | None = None) -> set[str]:
    return {one.rule for one in scan_patch(patch, Path("."), advisories=advisories).introduced}


TEST = "import pytest\ndef test_a():\n    assert f(1) == 2\n    assert g(2) == pytest.approx(3, abs=0.01)\n"


@pytest.mark.parametrize(
    ("after", "rule"),
    [
        (TEST.replace("f(1) == 2", "f(1)"), "test-weakened"),
        (TEST.replace("f(1) == 2", "True"), "test-weakened"),
        (TEST.replace("f(1) == 2", "f(1) == f(1)"), "test-weakened"),
        (TEST.replace("abs=0.01", "abs=5"), "test-weakened"),
        (TEST.replace("f(1) == 2", "f(1) == 7"), "test-expectation-changed"),
        (TEST.replace("    assert f(1) == 2\n", ""), "test-weakened"),
        (TEST.replace("def test_a", "@pytest.mark.skip\ndef test_a"), "test-skipped"),
        (TEST.replace("def test_a", "@pytest.mark.xfail(strict=False)\ndef test_a"), "test-skipped"),
        (TEST.replace("    assert f", "    return\n    assert f"), "test-skipped"),
        (TEST.replace("test_a", "check_a"), "test-removed"),
        ("import pytest\n", "test-removed"),
        (None, "test-removed"),
        ("def test_a(:\n", "test-broken"),
        (TEST.replace("test_a():\n", "test_a(monkeypatch):\n    monkeypatch.setattr('m.f', lambda x: 2)\n"), "test-mocked"),  # noqa: E501
    ],
)  # fmt: skip
def test_a_weaker_test_is_found(after: str | None, rule: str) -> None:
    assert rule in {one.rule for one in weakened_tests(change("tests/test_a.py", TEST, after))}


@pytest.mark.parametrize(
    "after",
    [
        TEST,
        "# a remark\n" + TEST,
        TEST + "def test_b():\n    assert f(2) == 3\n",
        TEST.replace("test_a", "test_better_name"),
        TEST.replace("    assert f(1) == 2\n", "    assert f(1) == 2\n    assert f(2) == 3\n"),
    ],
)
def test_a_sound_change_of_tests_is_clean(after: str) -> None:
    assert weakened_tests(change("tests/test_a.py", TEST, after)) == []


def test_a_test_that_moves_to_another_file_is_not_removed() -> None:
    patch = Patch(
        (FileChange("tests/test_a.py", TEST.encode(), None), FileChange("tests/test_b.py", None, TEST.encode()))
    )
    assert weakened_tests(patch) == []


@pytest.mark.parametrize(
    ("path", "before", "after", "rule"),
    [
        ("a.py", "x = 1\n", "x = 1  # type: ignore\n", "check-suppressed"),
        ("a.py", "x = 1\n", "x = 1  # nosec\n", "security-check-suppressed"),
        ("a.ts", "let x = 1\n", "// @ts-ignore\nlet x = 1\n", "check-suppressed"),
        ("a.py", "@login_required\ndef f():\n    pass\n", "def f():\n    pass\n", "authorisation-removed"),
        ("a.py", "import hmac\nx = hmac.compare_digest(a, b)\n", "x = True\n", "protection-removed"),
        ("a.py", "f()\n", "try:\n    f()\nexcept Exception:\n    pass\n", "error-swallowed"),
        ("a.py", "f()\n", "if False:\n    f()\n", "constant-condition"),
        (".github/workflows/ci.yml", "a: 1\n", "a: 2\n", "ci-changed"),
        (".github/workflows/ci.yml", "a: 1\n", "run: echo ${{ github.event.issue.title }}\n", "workflow-injection"),
        (".pre-commit-config.yaml", "a: 1\n", "a: 2\n", "checks-changed"),
        ("pyproject.toml", "[tool.mypy]\nstrict = true\n", "[tool.mypy]\nstrict = false\n", "checks-changed"),
        ("x.bin", None, "a\0b", "binary-file"),
        ("package.json", "{}", '{"scripts": {"postinstall": "node x.js"}}', "install-script"),
        ("requirements.txt", "", "reqeusts==1.0\n", "look-alike-package"),
        ("requirements.txt", "", "git+https://a.example/x.git#egg=x\n", "unregistered-source"),
        ("requirements.txt", "", "--extra-index-url https://a.example/\n", "package-index"),
        ("tests/a.test.js", "it('a', () => { expect(f()).toBe(1) })\n", "it.skip('a', () => { expect(f()).toBe(1) })\n", "test-skipped"),  # noqa: E501
        ("tests/conftest.py", "x = 1\n", "def pytest_runtest_makereport():\n    pass\n", "test-setup-changed"),
    ],
)  # fmt: skip
def test_a_dangerous_change_is_found(path: str, before: str | None, after: str | None, rule: str) -> None:
    assert rule in rules(change(path, before, after))


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("pyproject.toml", "[tool.mypy]\nstrict = true\n", "[project]\nname = 'a'\n[tool.mypy]\nstrict = true\n"),
        ("a.py", "@login_required\ndef f():\n    pass\n", "@login_required\ndef g():\n    pass\n"),
        ("a.py", "x = 1  # type: ignore\n", "y = 2\nx = 1  # type: ignore\n"),
        ("README.md", "a\n", "use `# noqa` there\n"),
    ],
)
def test_a_harmless_change_is_clean(path: str, before: str, after: str) -> None:
    assert rules(change(path, before, after)) == set()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    entry = {
        "id": "GHSA-test", "summary": "it leaks", "database_specific": {"severity": "HIGH"},
        "affected": [
            {"package": {"ecosystem": "PyPI", "name": "Some.Package"},
             "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.10"}]}]},
            {"package": {"ecosystem": "npm", "name": "left"},
             "ranges": [{"type": "SEMVER", "events": [{"introduced": "2.0.0"}, {"last_affected": "2.3.0"}]}]},
        ],
    }  # fmt: skip
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("GHSA-test.json", json.dumps(entry))
        archive.writestr("broken.json", "{")
    folder = tmp_path / "advisories"
    assert import_advisories(tmp_path / "all.zip", folder) == 1
    assert import_advisories(tmp_path / "all.zip", folder) == 1
    return folder


def test_a_vulnerable_dependency_is_found(database: Path) -> None:
    patch = change("requirements.txt", "some-package==1.10\n", "some_package==1.9\n")
    (one,) = [f for f in scan_patch(patch, Path("."), advisories=database).open() if f.rule == "vulnerable-dependency"]
    assert (one.severity, one.line) == ("high", 1)
    assert "GHSA-test" in one.message
    assert "1.10" in one.fix
    assert "vulnerable-dependency" not in rules(change("requirements.txt", "", "some-package==1.10\n"), database)
    assert "vulnerable-dependency" in rules(
        change("package.json", "{}", '{"dependencies": {"left": "2.3.0"}}'), database
    )
    assert "vulnerable-dependency" not in rules(
        change("package.json", "{}", '{"dependencies": {"left": "2.3.1"}}'), database
    )
    lock = '[[package]]\nname = "some-package"\nversion = "1.2"\nsource = { registry = "https://a.example" }\n'
    assert "vulnerable-dependency" in rules(change("uv.lock", "", lock), database)


def test_a_missing_database_is_never_told_clean(tmp_path: Path, database: Path) -> None:
    patch = change("requirements.txt", "", "some-package==1.9\n")
    for folder in (None, tmp_path / "nowhere"):
        assert any("no local database" in note for note in scan_patch(patch, Path("."), advisories=folder).notes)
    cargo = change("Cargo.lock", "", '[[package]]\nname = "a"\nversion = "1.0.0"\nsource = "registry+x"\n')
    assert any("crates.io" in note for note in scan_patch(cargo, Path("."), advisories=database).notes)


def test_what_a_file_pins_is_looked_up_and_never_silently_clean(tmp_path: Path, database: Path) -> None:
    pinned = tmp_path / "requirements.txt"
    pinned.write_text("some-package==1.9\nother==1\n")
    found = scan_files([pinned], root=tmp_path, advisories=database)
    assert [(f.rule, f.line) for f in found.findings] == [("vulnerable-dependency", 1)]
    assert found.notes == ()
    pinned.write_text("some-package==1.10\n")
    assert scan_files([pinned], root=tmp_path, advisories=database).findings == ()
    for folder in (None, tmp_path / "nowhere"):
        assert any("no local database" in note for note in scan_files([pinned], root=tmp_path, advisories=folder).notes)


def test_what_is_no_advisory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1}')
    with pytest.raises(ToolError, match="no advisory"):
        import_advisories(tmp_path / "a.json", tmp_path / "home")
    with pytest.raises(ToolError, match="there is no file"):
        import_advisories(tmp_path / "none", tmp_path / "home")
    assert not Advisories(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("ecosystem", "ordered"),
    [
        ("PyPI", ["1.0a1", "1.0rc1", "1.0", "1.0.post1", "1.9", "1.10"]),
        (
            "npm",
            ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0", "1.10.0"],
        ),
        ("Maven", ["1.0-alpha", "1.0-rc1", "1.0-SNAPSHOT", "1.0", "1.0-sp", "1.0.1", "1.10"]),
    ],
)
def test_versions_are_ordered(ecosystem: str, ordered: list[str]) -> None:
    assert [one.text for one in sorted(Version(text, ecosystem) for text in reversed(ordered))] == ordered


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("pyproject.toml", '[project]\ndependencies = ["a==1.0", "b>=2"]\n', [("a", "1.0"), ("b", "")]),
        ("go.mod", "module m\nrequire (\n\ta.example/b v1.2.3\n)\n", [("a.example/b", "1.2.3")]),
        ("Cargo.toml", '[dependencies]\na = "=1.2.3"\nb = "1"\n', [("a", "1.2.3"), ("b", "")]),
        (
            "pom.xml",
            "<dependency><groupId>g</groupId><artifactId>a</artifactId><version>1</version></dependency>",
            [("g:a", "1")],
        ),
        ("package-lock.json", '{"packages": {"": {}, "node_modules/a": {"version": "1.0.0"}}}', [("a", "1.0.0")]),
        ("package.json", "{broken", []),
    ],
)
def test_manifests_are_read(path: str, text: str, expected: list[tuple[str, str]]) -> None:
    assert [(one.name, one.version) for one in dependencies(path, text)] == expected


def test_names_like_popular_ones() -> None:
    assert looks_like("requsts", "PyPI") == "requests"
    assert looks_like("requests", "PyPI") == ""
    assert looks_like("mainspring", "PyPI") == ""


def test_files_and_folders_are_scanned_and_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out.py").write_text("def f(app):\n    app.run(debug=True)\n")
    (tmp_path / "in" / "a.py").write_text("def f(app):\n    app.run(debug=True)\n")
    (tmp_path / "in" / "link.py").symlink_to(tmp_path / "out.py")
    report = scan_files([tmp_path / "in"], root=tmp_path)
    assert [(one.path, one.rule) for one in report.findings] == [("in/a.py", "debug-on")]
    assert apply_fixes(report.findings, tmp_path).paths == ("in/a.py",)
    with pytest.raises(ToolError, match="to scan"):
        scan_files([tmp_path / "none"])
