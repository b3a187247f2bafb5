"""The real programs: node, cargo, Go, Maven, CTest and make run small projects that pass, fail and cannot be built."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from mainspring.tools.runners import run_tests

pytestmark = pytest.mark.slow
_DEBIAN = Path("/usr/share/maven-repo")  # what Debian's packages hold instead of Maven's central repository


@dataclass(frozen=True)
class Project:
    """Files, what a run of them tells, and a change that keeps them from being built."""

    name: str
    programs: tuple[str, ...]
    files: dict[str, str]
    passed: str
    failed: str
    location: str
    break_: tuple[str, str]
    broken_at: str
    compared: tuple[str, str] = ("", "")
    mend: tuple[str, str] = ("a - b", "a + b")


NODE = Project(
    "node",
    ("node",),
    {
        "package.json": '{"scripts": {"test": "node --test"}}',
        "sum.js": "exports.sum = (a, b) => a - b;\n",
        "test/a.test.js": """const test = require('node:test');
const assert = require('node:assert');
const { sum } = require('../sum.js');
test('adds', () => {
  assert.strictEqual(sum(1, 2), 3);
});
test('keeps', async (t) => {
  await t.test('zero', () => assert.strictEqual(sum(1, 0), 1));
});
""",
        "test/b.test.js": """const test = require('node:test');
const assert = require('node:assert');
test('adds', () => assert.ok(true));
""",
    },
    "test/b.test.js::adds",
    "test/a.test.js::adds",
    "test/a.test.js:5",
    ("sum.js", "exports.sum = (a, b => a;\n"),
    "sum.js:1",
    ("-1", "3"),
)
CARGO = Project(
    "cargo",
    ("cargo", "rustc", "cc"),
    {
        "Cargo.toml": '[package]\nname = "calc"\nversion = "0.1.0"\nedition = "2021"\n',
        "src/lib.rs": """pub fn add(a: i32, b: i32) -> i32 {
    a - b
}

#[cfg(test)]
mod tests {
    use super::add;
    #[test]
    fn adds() {
        println!("printed");
        assert_eq!(add(1, 2), 3);
    }
    #[test]
    fn keeps() {
        assert_eq!(add(1, 0), 1);
    }
}
""",
        "tests/outer.rs": "#[test]\nfn adds() {\n    assert_eq!(calc::add(1, 0), 1);\n}\n",
    },
    "tests::keeps",
    "tests::adds",
    "src/lib.rs:11",
    ("src/lib.rs", "pub fn add(a: i32, b: i32) -> i32 {\n    a +\n}\n"),
    "src/lib.rs:3",
    ("-1", "3"),
)
GO = Project(
    "go",
    ("go",),
    {
        "go.mod": "module example.com/calc\n\ngo 1.18\n",
        "calc.go": "package calc\n\nfunc Add(a, b int) int {\n\treturn a - b\n}\n",
        "calc_test.go": """package calc

import "testing"

func TestAdd(t *testing.T) {
\tfor _, one := range []struct{ name string; a, b, want int }{{"zero", 1, 0, 1}, {"two", 1, 2, 3}} {
\t\tt.Run(one.name, func(t *testing.T) {
\t\t\tif got := Add(one.a, one.b); got != one.want {
\t\t\t\tt.Errorf("got %d, want %d", got, one.want)
\t\t\t}
\t\t})
\t}
}
""",
        "inner/inner_test.go": """package inner

import "testing"

func TestKeeps(t *testing.T) {}

func TestLater(t *testing.T) { t.Skip("later") }
""",
    },
    "inner::TestKeeps",
    ".::TestAdd/two",
    "calc_test.go:9",
    ("calc.go", "package calc\n\nfunc Add(a, b int) int {\n\treturn a + c\n}\n"),
    "calc.go:4",
)
MAVEN = Project(
    "maven",
    ("mvn", "javac"),
    {
        ".mvn/maven.config": f"-Dmaven.repo.local={_DEBIAN}\n",
        ".mvn/jvm.config": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC\n",  # quicker for a run that is short
        "pom.xml": """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>x</groupId><artifactId>calc</artifactId><version>1</version>
  <properties>
    <maven.compiler.source>11</maven.compiler.source><maven.compiler.target>11</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <dependencies>
    <dependency><groupId>junit</groupId><artifactId>junit</artifactId><version>4.x</version><scope>test</scope>
    </dependency>
  </dependencies>
</project>
""",
        "src/main/java/x/Calc.java": """package x;

public class Calc {
    public static int add(int a, int b) { return a - b; }
}
""",
        "src/test/java/x/CalcTest.java": """package x;

import static org.junit.Assert.assertEquals;

import org.junit.Test;

public class CalcTest {
    @Test public void adds() {
        assertEquals(3, Calc.add(1, 2));
    }
    @Test public void keeps() {
        assertEquals(1, Calc.add(1, 0));
    }
}
""",
    },
    "x.CalcTest#keeps",
    "x.CalcTest#adds",
    "src/test/java/x/CalcTest.java:9",
    ("src/main/java/x/Calc.java", "package x;\n\npublic class Calc {\n    static int add() { return nothing; }\n}\n"),
    "src/main/java/x/Calc.java:4",
    ("-1", "3"),
)
CTEST = Project(
    "ctest",
    ("cmake", "ctest", "cc"),
    {
        "CMakeLists.txt": """cmake_minimum_required(VERSION 3.5)
project(calc C)
enable_testing()
add_executable(calc calc.c)
add_test(NAME adds COMMAND calc 1)
add_test(NAME keeps COMMAND calc 0)
""",
        "calc.c": """#include <stdio.h>
#include <stdlib.h>
int main(int count, char **words) {
    int wrong = atoi(words[1]);
    printf("%d\\n", wrong);
    return wrong;
}
""",
    },
    "keeps",
    "adds",
    "",
    ("calc.c", "int main(void) {\n    return nothing;\n}\n"),
    "calc.c:2",
    ("", ""),
    ("return wrong", "return wrong * 0"),
)
PROJECTS = (NODE, CARGO, GO, MAVEN, CTEST)


def write(workspace: Path, project: Project) -> None:
    """The project's files; a reason to skip when its programs are not there."""
    absent = [name for name in project.programs if not Path("/usr/bin", name).exists()]
    if absent:
        pytest.skip(f"not installed under /usr/bin: {', '.join(absent)}")
    if project is MAVEN and not (_DEBIAN / "org/apache/maven/surefire/surefire-junit4").is_dir():
        pytest.skip(
            f"no surefire in {_DEBIAN} (Debian: libsurefire-java, maven's compiler and resources plugins, junit4)"
        )
    for name, text in project.files.items():
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text(text)


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name)
def test_passed_failed_alone_and_not_built(project: Project, workspace: Path) -> None:
    write(workspace, project)
    report = run_tests(workspace, timeout_s=240)
    assert report.runner == project.name, report.text()
    assert not report.ok
    assert (report.failed, report.errors, report.broken) == (1, 0, ""), report.text()
    assert (report.outcomes[project.passed], report.outcomes[project.failed]) == ("passed", "failed")
    (failure,) = report.failures
    assert (failure.id, failure.kind, failure.location) == (project.failed, "failed", project.location)
    assert (failure.actual, failure.expected) == project.compared
    assert failure.message, "it is told why"

    alone = run_tests(workspace, target=shlex.quote(failure.id), timeout_s=240)
    assert dict(alone.outcomes) == {failure.id: "failed"}
    other = run_tests(workspace, target=shlex.quote(project.passed), timeout_s=240)
    assert other.ok, other.text()
    assert dict(other.outcomes) == {project.passed: "passed"}

    changed = workspace / project.break_[0]
    before = changed.read_text()
    changed.write_text(project.break_[1])
    broken = run_tests(workspace, timeout_s=240)
    assert not broken.ok
    assert broken.errors >= 1, broken.text()
    assert [f.kind for f in broken.failures if f.location == project.broken_at] in (["compile"], ["collection"])

    changed.write_text(before.replace(*project.mend))
    mended = run_tests(workspace, timeout_s=240)
    assert mended.ok, mended.text()
    assert mended.failed == 0
    assert mended.passed > report.passed
