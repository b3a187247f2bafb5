"""The command of each test runner, with targets in the runner's own form, and what it needs around it."""

from __future__ import annotations

import json
import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from mainspring.errors import ToolError
from mainspring.tools.runners.detect import Runner
from mainspring.tools.runners.found import read_plain

SCRATCH = "/run/scratch"
NODE_REPORTER, NODE_FILES = "files.mjs", "files.txt"
#: Tells the file of each result, in the order of node's TAP, which names none.
NODE_REPORTER_SOURCE = """
export default async function* files(source) {
  for await (const { type, data } of source)
    if (type === "test:pass" || type === "test:fail") yield JSON.stringify(data.file ?? "") + "\\n";
}
"""
_BUILT = "/tmp/build"


@dataclass(frozen=True, slots=True)
class Caches:
    """Folders of toolchains and downloaded packages that a run may read, and the variables that name them."""

    read_only: tuple[Path, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    path: tuple[str, ...] = ()


def package_caches(home: Path | None = None) -> Caches:
    """The package caches and toolchains of a user's home that are there: Cargo's and rustup's, Go's, Maven's, Gradle's.

    Only folders of downloaded packages are named, never the files beside them that may hold a password
    (``~/.cargo/credentials.toml``, ``~/.m2/settings.xml``, ``~/.npmrc``).

    Args:
        home: whose; default the user's own.
    """
    home = home or Path.home()
    folders: list[Path] = []
    env: dict[str, str] = {}
    path: list[str] = []
    crates = [p for p in (home / ".cargo/registry", home / ".cargo/git") if p.is_dir()]
    if crates:
        folders += crates
        env["CARGO_HOME"] = str(home / ".cargo")
    toolchains = sorted((home / ".rustup/toolchains").glob("stable*")) or sorted(
        (home / ".rustup/toolchains").glob("*")
    )
    if toolchains:
        folders.append(toolchains[0])
        path.append(str(toolchains[0] / "bin"))
    for folder, variable in ((home / "go/pkg/mod", "GOMODCACHE"), (home / ".gradle/caches", "GRADLE_RO_DEP_CACHE")):
        if folder.is_dir():
            folders.append(folder)
            env[variable] = str(folder)
    if (home / ".m2/repository").is_dir():
        folders.append(home / ".m2/repository")
        env["MAVEN_ARGS"] = f"-Dmaven.repo.local={home / '.m2/repository'}"  # read by Maven 3.9 and later
    return Caches(tuple(folders), env, tuple(path))


def system_settings() -> list[Path]:
    """What Maven and Java of Debian need of ``/etc`` to start; no settings that may hold a password."""
    etc = Path("/etc")
    named = [etc / "maven/m2.conf", etc / "maven/logging"]
    # Neither Maven's settings.xml nor Java's folder "management": both are where passwords are kept.
    named += [path for path in sorted(etc.glob("java-*-openjdk/*")) if path.name != "management"]
    return [path for path in named if path.exists()]


def command_of(runner: Runner, workspace: Path, python: Path, words: list[str], caches: Caches) -> list[str]:
    """The command that runs these targets. Raises ToolError when the runner is not installed in the project."""
    name, folder = runner.name, workspace / runner.folder
    words = [w for w in (_below(word, runner.folder) for word in words) if w]
    if name == "pytest":
        return [str(python), "-m", "pytest", "-v", *words]
    if name == "unittest":
        return [str(python), "-m", "unittest", "-v", *map(_module_name, words)]
    if name in ("node", "jest", "vitest", "mocha"):
        return _script(name, folder, workspace, words)
    if name == "npm":
        return ["npm", "test", "--", *words]
    if name == "go":
        return ["go", "test", "-json", *_go(words)]
    if name == "cargo":
        return ["cargo", "test", "--offline", "--no-fail-fast", *_cargo(words)]
    if name == "maven":
        local = caches.env.get("MAVEN_ARGS")
        tests = ",".join(_java_name(word) for word in words)
        chosen = [f"-Dtest={tests}", "-Dsurefire.failIfNoSpecifiedTests=false", "-DfailIfNoTests=false"]
        return [
            "mvn",
            "-o",
            "-B",
            "-Dstyle.color=never",
            *([local] if local else []),
            "test",
            *(chosen if words else []),
        ]
    if name == "gradle":
        chosen = [part for word in words for part in ("--tests", _java_name(word).replace("#", "."))]
        return ["gradle", "--offline", "--console=plain", "--no-daemon", "test", *chosen]
    if name == "ctest":
        chosen = ["-R", f"^({'|'.join(map(re.escape, words))})$"] if words else []
        run = shlex.join(["ctest", "--test-dir", _BUILT, "--output-on-failure", "--no-tests=error",
                          "--output-junit", f"{SCRATCH}/junit.xml", *chosen])  # fmt: skip
        return ["bash", "-c", f"cmake -S . -B {_BUILT} > /dev/null && cmake --build {_BUILT} -j 2 && {run}"]
    goal = "check" if b"\ncheck:" in b"\n" + (_makefile(folder) or b"") else "test"
    return ["make", *(words or [goal])]


def environment(runner: str, folder: Path, caches: Caches, path: str) -> dict[str, str]:
    """Variables for a run: nothing is asked, nothing is downloaded, nothing is written outside ``/tmp``."""
    env = {"CI": "1", **caches.env}
    if caches.path:
        env["PATH"] = ":".join([*caches.path, path])
    if runner == "go":
        vendored = (folder / "vendor" / "modules.txt").is_file()
        env |= {"GOFLAGS": "-mod=vendor" if vendored else "-mod=mod", "GOPROXY": "off", "GOSUMDB": "off"}
        env |= {"GOCACHE": "/tmp/go-build", "GOTOOLCHAIN": "local"}
    if runner == "cargo":
        env |= {"CARGO_NET_OFFLINE": "true", "CARGO_TERM_COLOR": "never", "RUST_BACKTRACE": "1"}
    return env


_WANTING = re.compile(
    r"no matching package named|failed to (?:download|get `)|Unable to update registry|unable to update|"
    r"module lookup disabled|missing go\.sum entry|cannot find module providing|no required module provides|"
    r"in offline mode|No cached version of|Cannot find (?:module|package) '(?![./])[^']+'|Could NOT find",
)
_PROGRAMS = {
    "go": "the Go toolchain",
    "cargo": "the Rust toolchain (a copy in a home folder cannot be seen from the sandbox)",
    "npm": "Node.js with npm",
    "node": "Node.js",
    "jest": "Node.js",
    "vitest": "Node.js",
    "mocha": "Node.js",
    "maven": "Maven (mvn)",
    "gradle": "Gradle",
    "ctest": "CMake and a compiler",
    "make": "make",
}


def missing_program(runner: str, exit_code: int | None, output: str) -> str:
    """What is to be said when the runner itself is not installed, or an empty text."""
    absent = exit_code in (126, 127) and len(output) < 2000
    if runner in _PROGRAMS and absent:
        return (
            f"the project's tests need {_PROGRAMS[runner]}, which is not installed under /usr; install it there, or "
            "allow the toolchains and package caches of your home folder (caches)"
        )
    return ""


def missing_packages(output: str) -> str:
    """What is to be said when packages are missing that only a network would bring, or an empty text."""
    found = _WANTING.search(output)
    if found is None:
        return ""
    line = output[output.rfind("\n", 0, found.start()) + 1 :].partition("\n")[0].strip()[:200]
    return (
        f"dependencies are missing, and tests have no network ({line}); vendor them in the project, install them "
        "before the run, or allow the package caches of your home folder (caches)"
    )


def _below(word: str, folder: str) -> str:
    if folder and word.strip("/") == folder:
        return ""
    return word.removeprefix(f"{folder}/") if folder else word


def _script(name: str, folder: Path, workspace: Path, words: list[str]) -> list[str]:
    files, titles = [], []
    for word in words:
        file, _, title = word.partition("::")
        if not title and name == "node" and not (folder / file).exists() and not re.search(r"[*/]|^-", file):
            file, title = "", word  # a title by itself
        files.append(file)
        if name == "node":  # each title on the way: a test that is left out runs no tests below it
            titles += [f"(?:^| ){re.escape(part)}$" for part in title.split(" > ") if part]
        else:
            titles += [re.escape(title.replace(" > ", " "))] * bool(title)
    titles = list(dict.fromkeys(titles))
    pattern = "|".join(titles)
    files = list(dict.fromkeys(file for file in files if file))
    if name == "node":
        told = ["--test-reporter=tap", "--test-reporter-destination=stdout"]
        told += [f"--test-reporter={SCRATCH}/{NODE_REPORTER}", f"--test-reporter-destination={SCRATCH}/{NODE_FILES}"]
        chosen = [f"--test-name-pattern={pattern}"] if pattern else []
        own = [word for word in _options(folder, "node") if word != "--test"]
        return ["node", "--test", *told, *chosen, *(([w for w in own if w.startswith("-")] + files) if files else own)]
    program = next(
        (p for up in (folder, *folder.parents) if up.is_relative_to(workspace)
         and (p := up / "node_modules" / ".bin" / name).exists()), None)  # fmt: skip
    if program is None:
        raise ToolError(
            f"{name} is not installed in the project's node_modules, and tests have no network; run npm ci (with "
            "network) in the project before its tests"
        )
    report = f"{SCRATCH}/report.json"
    own = [word for word in _options(folder, name) if word not in ("run", "--watch", "watch")]
    if name == "jest":
        chosen = ["-t", pattern] if pattern else []
        return [str(program), *own, "--ci", "--json", f"--outputFile={report}", *files, *chosen]
    if name == "vitest":
        chosen = ["-t", pattern] if pattern else []
        return [str(program), "run", *own, "--reporter=json", f"--outputFile={report}", *files, *chosen]
    chosen = ["-g", pattern] if pattern else []
    return [str(program), *own, "--reporter", "json", "--reporter-option", f"output={report}", *files, *chosen]


def _options(folder: Path, name: str) -> list[str]:
    """What ``npm test`` gives the runner besides its name."""
    try:
        words = shlex.split(json.loads(read_plain(folder, "package.json") or b"{}")["scripts"]["test"])
        return words[words.index(name) + 1 :] if name in words and not re.search(r"[|&;<>$`]", " ".join(words)) else []
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def _go(words: list[str]) -> list[str]:
    packages, names = [], []
    for word in words:
        package, _, name = word.partition("::")
        if package.startswith("-"):
            packages.append(package)
            continue
        if package.endswith(".go"):
            package = os.path.dirname(package) or "."
        packages.append(package if package.startswith((".", "/")) or "." in package.split("/")[0] else f"./{package}")
        if name:
            names.append(name)
    tops = "|".join(dict.fromkeys(name.split("/")[0] for name in names))
    deeper = f"/^({'|'.join(n.split('/', 1)[1] for n in names)})$" if names and all("/" in n for n in names) else ""
    return [*(["-run", f"^({tops})$" + deeper] if names else []), *(dict.fromkeys(packages) or ["./..."])]


def _cargo(words: list[str]) -> list[str]:
    options, names, files, free = [], [], [], []
    for word in words:
        file = re.fullmatch(r"tests/(?:([\w-]+)\.rs|([\w-]+)/main\.rs)(?:::(.+))?", word)
        if file:
            files.append(file[1] or file[2])
            names += [file[3]] if file[3] else []
        elif word.startswith("-"):
            options.append(word)
        else:
            free.append(word)
    if not free:  # a name without a file may be in any of the crate's binaries
        options += [part for file in dict.fromkeys(files) for part in ("--test", file)]
    exact = all("::" in name or " - " in name for name in free)
    names = list(dict.fromkeys([*names, *free]))
    return [*options, *(["--", *(["--exact"] if exact else []), *names] if names else [])]


def _java_name(word: str) -> str:
    """``src/test/java/x/CalcTest.java`` as ``x.CalcTest``; ids stay."""
    found = re.fullmatch(r"(?:.*/)?src/test/(?:java|kotlin|groovy)/(.+)\.(?:java|kt|groovy)(?:::(\w+))?", word)
    if not found:
        return word
    return found[1].replace("/", ".") + (f"#{found[2]}" if found[2] else "")


def _module_name(word: str) -> str:
    """``tests/test_a.py::TestA::test_b`` as unittest writes it: ``tests.test_a.TestA.test_b``."""
    path, *names = word.split("::")
    if path.endswith(".py"):
        path = path[:-3].replace("/", ".")
    return ".".join([path, *names])


def _makefile(folder: Path) -> bytes | None:
    return next((data for name in ("GNUmakefile", "makefile", "Makefile") if (data := read_plain(folder, name))), None)
