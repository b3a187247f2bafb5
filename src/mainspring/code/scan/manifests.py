"""What files declare as dependencies: requirements, pyproject.toml, lock files, package.json, go.mod, Cargo, Maven."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Dependency", "dependencies", "is_manifest"]

_KINDS = re.compile(
    r"(^|/)(requirements[\w.-]*\.(txt|in)|constraints[\w.-]*\.txt|pyproject\.toml|uv\.lock|poetry\.lock|pdm\.lock|Pipfile\.lock|"
    r"package\.json|package-lock\.json|npm-shrinkwrap\.json|go\.mod|Cargo\.toml|Cargo\.lock|pom\.xml)$|(^|/)requirements/[\w.-]+\.txt$"
)
_REQUIREMENT = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]{0,100})\s{0,4}(\[[^\]]{0,200}\])?\s{0,4}(.{0,300})$")
_ADDRESS = re.compile(
    r"^(git\+|https?://|git://|ssh://|file:|git@|hg\+|svn\+|github:|bitbucket:|gitlab:|[\w-]+/[\w.-]+$)"
)
_POM = re.compile(
    r"<dependency>\s{0,100}(?:(?!</dependency>)[\s\S]){0,1000}?<groupId>([^<]{1,200})</groupId>"
    r"(?:(?!</dependency>)[\s\S]){0,1000}?<artifactId>([^<]{1,200})</artifactId>"
    r"(?:(?:(?!</dependency>)[\s\S]){0,1000}?<version>([^<]{1,100})</version>)?"
)


@dataclass(frozen=True, slots=True)
class Dependency:
    """One declared dependency. `version` is exact, "" when it is not pinned; `source` is an address when it has one.

    `direct` is False for what only a lock file names.
    """

    ecosystem: str
    name: str
    version: str
    line: int
    source: str = ""
    direct: bool = True
    script: bool = False


def is_manifest(path: str) -> bool:
    """Whether a file declares dependencies."""
    return _KINDS.search(path) is not None


def dependencies(path: str, text: str) -> list[Dependency]:
    """What a file declares; nothing when it does not parse."""
    name = path.rsplit("/", 1)[-1]
    lines = text.split("\n")
    try:
        if name.endswith((".txt", ".in")):
            return list(_requirements(lines))
        if name == "package.json":
            return list(_package(json.loads(text), lines))
        if name in ("package-lock.json", "npm-shrinkwrap.json"):
            return list(_package_lock(json.loads(text), lines))
        if name == "Pipfile.lock":
            return list(_pipfile(json.loads(text), lines))
        if name == "go.mod":
            return list(_go(lines))
        if name == "pom.xml":
            return list(_maven(text))
        data = tomllib.loads(text)
        if name in ("uv.lock", "poetry.lock", "pdm.lock", "Cargo.lock"):
            return list(_toml_lock(data, lines, "crates.io" if name == "Cargo.lock" else "PyPI"))
        return list(_cargo(data, lines) if name == "Cargo.toml" else _project(data, lines))
    except (ValueError, tomllib.TOMLDecodeError, AttributeError, TypeError, RecursionError):
        return []


def _where(lines: list[str], *words: str) -> int:
    """The first line that holds all words; then the first one of them."""
    for number, line in enumerate(lines, 1):
        if all(word in line for word in words):
            return number
    return _where(lines, words[0]) if len(words) > 1 else 1


def _requirement(text: str, line: int) -> Dependency | None:
    match = _REQUIREMENT.match(text.split(" #")[0].strip())
    if match is None:
        return None
    rest = match[3].split(";")[0].strip().strip("()")
    exact = re.fullmatch(r"={2,3}\s*([A-Za-z0-9][\w.!+-]*?)(\s+--hash.*|\s*\\)?", rest)
    source = rest[1:].strip() if rest.startswith("@") else ""
    return Dependency("PyPI", match[1], exact[1] if exact and "*" not in rest else "", line, source)


def _requirements(lines: list[str]) -> Iterator[Dependency]:
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if text.startswith(("-e ", "--editable")) or _ADDRESS.match(text.split(" ")[0]):
            address = text.split(" ")[-1] if text.startswith("-e") else text
            if address.startswith((".", "/")):
                continue
            egg = re.search(r"#egg=([\w.-]+)", address)
            yield Dependency("PyPI", egg[1] if egg else address.rsplit("/", 1)[-1][:60], "", number, address)
        elif text.startswith(("--index-url", "--extra-index-url", "-i ", "--find-links", "--trusted-host")):
            yield Dependency("PyPI", text.split()[0], "", number, text)
        elif not text.startswith("-"):
            found = _requirement(text, number)
            if found:
                yield found


def _project(data: dict[str, Any], lines: list[str]) -> Iterator[Dependency]:
    project = data.get("project", {})
    texts = list(project.get("dependencies", []))
    for group in project.get("optional-dependencies", {}).values():
        texts += group
    for group in data.get("dependency-groups", {}).values():
        texts += [one for one in group if isinstance(one, str)]
    texts += data.get("build-system", {}).get("requires", [])
    for text in texts:
        found = _requirement(text, _where(lines, text))
        if found:
            yield found
    poetry = data.get("tool", {}).get("poetry", {})
    groups = [poetry.get("dependencies", {}), poetry.get("dev-dependencies", {})]
    groups += [group.get("dependencies", {}) for group in poetry.get("group", {}).values()]
    for group in groups:
        for name, wanted in group.items():
            if name != "python":
                yield _table("PyPI", name, wanted, _where(lines, name))


def _table(ecosystem: str, name: str, wanted: Any, line: int) -> Dependency:
    version = wanted if isinstance(wanted, str) else str(wanted.get("version", "")) if isinstance(wanted, dict) else ""
    source = str(wanted.get("git") or wanted.get("url") or "") if isinstance(wanted, dict) else ""
    exact = version if re.fullmatch(r"=?=?\s?\d[\w.+-]*", version) else ""
    if ecosystem == "crates.io" and not version.startswith("="):
        exact = ""  # "1.2" means ^1.2 there
    return Dependency(ecosystem, name, exact.lstrip("= "), line, source)


def _toml_lock(data: dict[str, Any], lines: list[str], ecosystem: str) -> Iterator[Dependency]:
    places: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        match = re.match(r'name = "([^"]+)"', line)
        if match:
            places.setdefault(match[1], number)
    for package in data.get("package", []):
        source = package.get("source")
        address = ""
        if isinstance(source, dict):
            if source.get("editable") or source.get("virtual") or source.get("directory") or source.get("path"):
                continue
            address = str(
                source.get("git") or (source.get("url") if source.get("type") in ("git", "url") else "") or ""
            )
        elif isinstance(source, str) and source.startswith("git+"):
            address = source
        if ecosystem == "crates.io" and source is None:
            continue  # a member of the workspace
        name = str(package.get("name", ""))
        yield Dependency(ecosystem, name, str(package.get("version", "")), places.get(name, 1), address, direct=False)


def _package(data: dict[str, Any], lines: list[str]) -> Iterator[Dependency]:
    for kind in ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies"):
        for name, wanted in (data.get(kind) or {}).items():
            version = str(wanted)
            exact = version if re.fullmatch(r"[v=]?\d+\.\d+\.\d+[\w.+-]*", version) else ""
            source = version if _ADDRESS.match(version) else ""
            yield Dependency("npm", name, exact.lstrip("v="), _where(lines, f'"{name}"', version), source)
    for script in ("preinstall", "install", "postinstall", "prepare"):
        if script in (data.get("scripts") or {}):
            command = str(data["scripts"][script])
            yield Dependency("npm", script, "", _where(lines, f'"{script}"'), command, script=True)


def _package_lock(data: dict[str, Any], lines: list[str]) -> Iterator[Dependency]:
    places = {
        match[1]: n
        for n, line in enumerate(lines, 1)
        if (match := re.match(r'\s*"((?:node_modules/)?[^"]+)": \{', line))
    }
    for place, package in (data.get("packages") or {}).items():
        if not place or not isinstance(package, dict) or package.get("link"):
            continue
        name = place.rsplit("node_modules/", 1)[-1]
        source = str(package.get("resolved", ""))
        address = source if source.startswith("git") else ""
        yield Dependency("npm", name, str(package.get("version", "")), places.get(place, 1), address, direct=False)
    for name, package in (data.get("dependencies") or {}).items() if "packages" not in data else ():
        yield Dependency("npm", name, str(package.get("version", "")), places.get(name, 1), direct=False)


def _pipfile(data: dict[str, Any], lines: list[str]) -> Iterator[Dependency]:
    for group in ("default", "develop"):
        for name, package in (data.get(group) or {}).items():
            yield Dependency(
                "PyPI", name, str(package.get("version", "")).lstrip("="), _where(lines, f'"{name}"'), direct=False
            )


def _go(lines: list[str]) -> Iterator[Dependency]:
    block = False
    for number, line in enumerate(lines, 1):
        text = line.split("//")[0].strip()
        if text.startswith("require ("):
            block = True
        elif block and text == ")":
            block = False
        elif block or text.startswith("require "):
            parts = text.removeprefix("require ").split()
            if len(parts) >= 2:
                yield Dependency("Go", parts[0], parts[1].lstrip("v"), number, direct="// indirect" not in line)
        elif text.startswith("replace ") and "=>" in text:
            target = text.split("=>")[1].split()
            if target and not target[0].startswith("."):
                yield Dependency(
                    "Go",
                    target[0],
                    target[1].lstrip("v") if len(target) > 1 else "",
                    number,
                    f"replaces {text.split()[1]}",
                )


def _cargo(data: dict[str, Any], lines: list[str]) -> Iterator[Dependency]:
    for kind in ("dependencies", "dev-dependencies", "build-dependencies"):
        for name, wanted in (data.get(kind) or {}).items():
            if not (isinstance(wanted, dict) and (wanted.get("path") or wanted.get("workspace"))):
                yield _table("crates.io", name, wanted, _where(lines, name))


def _maven(text: str) -> Iterator[Dependency]:
    for match in _POM.finditer(text[: 1 << 20]):
        version = (match[3] or "").strip()
        exact = "" if "$" in version or re.search(r"[\[\](),]", version) else version
        yield Dependency(
            "Maven", f"{match[1].strip()}:{match[2].strip()}", exact, text.count("\n", 0, match.start()) + 1
        )
