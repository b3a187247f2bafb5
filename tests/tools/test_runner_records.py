"""Reports of runners, as real runs printed them: read alike on machines that do not have the runner."""

from __future__ import annotations

import json
from pathlib import Path

from mainspring.tools.runners import detect
from mainspring.tools.runners.cargo import read_cargo
from mainspring.tools.runners.junit import read_java
from mainspring.tools.runners.records import read_go, read_script_json
from mainspring.tools.runners.texts import read_compile_errors, read_tap

CARGO = """   Compiling calc v0.1.0 (/project)
    Finished `test` profile [unoptimized + debuginfo] target(s) in 1.68s
     Running unittests src/lib.rs (target/debug/deps/calc-c6626fb655a8d231)

running 5 tests
test tests::fails ... FAILED
test tests::fine ... ok
test tests::later ... ignored
test tests::should - should panic ... FAILED
test tests::adds ... FAILED

failures:

---- tests::fails stdout ----
Error: "no"

---- tests::should stdout ----
note: test did not panic as expected at src/lib.rs:24:8
---- tests::adds stdout ----
printed

thread 'tests::adds' (24217) panicked at src/lib.rs:15:9:
assertion `left == right` failed: sum
  left: -1
 right: 3
stack backtrace:
             at ./src/lib.rs:15:9
             at ./src/lib.rs:13:14
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.


failures:
    tests::adds
    tests::fails
    tests::should

test result: FAILED. 1 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.21s

"""
TAP = """TAP version 13
# Subtest: adds
not ok 1 - adds
  ---
  duration_ms: 9.9
  location: 'test/a.test.js:4:1'
  failureType: 'testCodeFailure'
  error: |-
    Expected values to be strictly equal:

    -1 !== 3

  expected: 3
  actual: -1
  stack: |-
    TestContext.<anonymous> (/nowhere/a.test.js:4:29)
  ...
# Subtest: more
    # Subtest: fine
    ok 1 - fine
      ---
      duration_ms: 0.2
      ...
    1..1
ok 2 - more
  ---
  type: 'suite'
  ...
1..2
"""


def test_cargo(workspace: Path) -> None:
    (workspace / "src").mkdir()
    (workspace / "src" / "lib.rs").write_text("")
    found = read_cargo(CARGO, workspace)
    assert found is not None
    assert (found.passed, found.failed, found.skipped, found.collected, found.complete) == (1, 3, 1, 5, True)
    adds = found.failures[-1]
    assert (adds.id, adds.location, adds.expected, adds.actual) == ("tests::adds", "src/lib.rs:15", "3", "-1")
    assert adds.output == "printed"
    cut = read_cargo(CARGO.partition("test result")[0], workspace)
    assert cut is not None
    assert not cut.complete


def test_tap_of_node(workspace: Path) -> None:
    found = read_tap(TAP, workspace)
    assert found is not None
    assert [(t.id, t.outcome) for t in found.tests] == [("adds", "failed"), ("more > fine", "passed")]
    assert (found.failures[0].expected, found.failures[0].actual, found.complete) == ("3", "-1", True)
    assert not read_tap(TAP.partition("# Subtest: more")[0], workspace).complete  # type: ignore[union-attr]
    assert read_tap("all is well", workspace) is None


def test_go(workspace: Path) -> None:
    (workspace / "go.mod").write_text("module example.com/calc\n")
    (workspace / "calc_test.go").write_text("")
    package = "example.com/calc"
    events = [
        {"Action": "start", "Package": package},
        {"Action": "run", "Package": package, "Test": "TestAdd"},
        {"Action": "output", "Package": package, "Test": "TestAdd", "Output": "    calc_test.go:7: got -1, want 3\n"},
        {"Action": "fail", "Package": package, "Test": "TestAdd", "Elapsed": 0.01},
        {"Action": "run", "Package": package, "Test": "TestHang"},
    ]
    found = read_go("\n".join(map(json.dumps, events)), workspace)
    assert found is not None
    assert [(f.id, f.message, f.location) for f in found.failures] == [
        (".::TestAdd", "got -1, want 3", "calc_test.go:7")
    ]
    assert (found.complete, found.unfinished) == (False, (".::TestHang",))


def test_surefire(workspace: Path) -> None:
    source = workspace / "src/test/java/x"
    source.mkdir(parents=True)
    (source / "CalcTest.java").write_text("")
    reports = workspace / "target/surefire-reports"
    reports.mkdir(parents=True)
    (reports / "TEST-x.CalcTest.xml").write_text(
        "<testsuite><testcase name='adds' classname='x.CalcTest' time='0.013'>"
        "<failure message='expected: &lt;3&gt; but was: &lt;-1&gt;' type='org.opentest4j.AssertionFailedError'>"
        "org.opentest4j.AssertionFailedError: expected\n\tat x.CalcTest.adds(CalcTest.java:6)\n</failure>"
        "</testcase><testcase name='fine' classname='x.CalcTest'/></testsuite>"
    )
    found = read_java(workspace, "", 0)
    assert found is not None
    failure = found.failures[0]
    assert (failure.id, failure.location) == ("x.CalcTest#adds", "src/test/java/x/CalcTest.java:6")
    assert (failure.expected, failure.actual, found.passed) == ("3", "-1", 1)
    assert read_java(workspace, "", 1 << 62) is None, "a report of an earlier run is none of this one"


def test_jest_and_mocha(tmp_path: Path, workspace: Path) -> None:
    (workspace / "sum.test.js").write_text("")
    case = {"ancestorTitles": ["sum"], "title": "adds", "status": "failed", "duration": 12}
    case["failureMessages"] = [f"Expected 3\n    at Object.x ({workspace}/sum.test.js:5:29)"]
    suite = {"name": f"{workspace}/sum.test.js", "status": "failed", "assertionResults": [case]}
    (tmp_path / "report.json").write_text(json.dumps({"testResults": [suite]}))
    found = read_script_json(tmp_path, "report.json", workspace)
    assert found is not None
    assert [(f.id, f.location) for f in found.failures] == [("sum.test.js::sum > adds", "sum.test.js:5")]
    for bad in ("[", "[]", '{"testResults": [1]}', '{"stats": {}}'):
        (tmp_path / "report.json").write_text(bad)
        assert read_script_json(tmp_path, "report.json", workspace) is None


def test_compile_errors(workspace: Path) -> None:
    (workspace / "a.rs").write_text("")
    (workspace / "a.c").write_text("")
    text = "error[E0425]: cannot find value\n --> a.rs:6:9\n  |\na.c:3:4: error: expected ';'\n"
    assert [(f.kind, f.location, f.message) for f in read_compile_errors(text, workspace)] == [
        ("compile", "a.c:3", "expected ';'"),
        ("compile", "a.rs:6", "cannot find value"),
    ]


def test_a_repository_of_several_projects(workspace: Path) -> None:
    for folder, name in (("a", "go.mod"), ("b", "Cargo.toml"), ("b/node_modules/c", "package.json")):
        (workspace / folder).mkdir(parents=True)
        (workspace / folder / name).write_text("{}")
    assert [(r.name, r.folder) for r in detect(workspace)] == [("go", "a"), ("cargo", "b")]
    assert detect(workspace, "b/src/lib.rs")[0].name == "cargo"
