"""Dependencies that a patch adds or changes: known faults, look-alike names, no fixed version, install scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mainspring.code.patch import FileChange, Patch
from mainspring.code.scan.advisories import Advisories, package_name
from mainspring.code.scan.files import decode
from mainspring.code.scan.finding import Draft, Finding, finish
from mainspring.code.scan.manifests import Dependency, dependencies, is_manifest

__all__ = ["check_dependencies", "looks_like"]

_MOST = 16 << 20
#: Names that many install, against which a new name is compared.
_POPULAR = {
    "PyPI": [
        "requests",
        "urllib3",
        "numpy",
        "pandas",
        "boto3",
        "botocore",
        "setuptools",
        "certifi",
        "idna",
        "typing-extensions",
        "python-dateutil",
        "s3transfer",
        "packaging",
        "pyyaml",
        "charset-normalizer",
        "cryptography",
        "pydantic",
        "click",
        "attrs",
        "jinja2",
        "markupsafe",
        "flask",
        "django",
        "sqlalchemy",
        "scipy",
        "matplotlib",
        "pillow",
        "pytest",
        "tqdm",
        "rich",
        "colorama",
        "beautifulsoup4",
        "lxml",
        "psycopg2",
        "redis",
        "celery",
        "fastapi",
        "uvicorn",
        "starlette",
        "httpx",
        "aiohttp",
        "tensorflow",
        "torch",
        "transformers",
        "scikit-learn",
        "openai",
        "anthropic",
        "langchain",
        "selenium",
        "paramiko",
        "protobuf",
        "grpcio",
        "tensorboard",
        "opencv-python",
        "virtualenv",
        "pycryptodome",
        "pyjwt",
        "docker",
        "kubernetes",
    ],
    "npm": [
        "lodash",
        "react",
        "react-dom",
        "express",
        "axios",
        "chalk",
        "commander",
        "debug",
        "moment",
        "vue",
        "typescript",
        "webpack",
        "eslint",
        "prettier",
        "jest",
        "mocha",
        "next",
        "uuid",
        "dotenv",
        "cross-env",
        "async",
        "request",
        "underscore",
        "jquery",
        "body-parser",
        "cors",
        "mongoose",
        "socket.io",
        "redux",
        "rxjs",
        "tslib",
        "classnames",
        "minimist",
        "glob",
        "semver",
        "yargs",
        "inquirer",
        "jsonwebtoken",
        "bcrypt",
        "nodemon",
        "electron",
        "puppeteer",
        "discord.js",
    ],
    "crates.io": [
        "serde",
        "tokio",
        "rand",
        "clap",
        "anyhow",
        "regex",
        "log",
        "syn",
        "quote",
        "libc",
        "reqwest",
        "hyper",
        "chrono",
        "itertools",
        "lazy_static",
        "thiserror",
        "futures",
        "tracing",
        "rayon",
        "uuid",
        "serde_json",
    ],
}


def check_dependencies(patch: Patch, workspace: Path, advisories: Path | None) -> tuple[list[Finding], list[str]]:
    """Findings of what a patch adds to its manifests, and what could not be checked.

    Args:
        patch: the change.
        workspace: not read by this check; manifests are compared as the patch has them.
        advisories: the database's folder.
    """
    found: list[Finding] = []
    notes: list[str] = []
    manifests = [change for change in patch.changes if is_manifest(change.path) and change.after is not None]
    scripts = [c for c in patch.changes if c.path.rsplit("/", 1)[-1] in ("setup.py", "build.rs", "binding.gyp")]
    for change in scripts:
        if change.after is not None:
            told = Draft(
                "install-script",
                "CWE-829",
                "low",
                "high",
                1,
                f"{change.path} runs when the package is installed",
                "let a person look at it",
                change.path,
            )
            found += finish([told], change.path, [])
    if not manifests:
        return found, notes
    database = Advisories(advisories) if advisories is not None else None
    unknown: set[str] = set()
    for change in manifests:
        if len(change.after or b"") > _MOST:
            notes.append(f"{change.path}: too large; its dependencies were not checked")
            continue
        drafts, missing = _manifest(change, database)
        unknown |= missing
        found += finish(drafts, change.path, decode(change.after or b"").split("\n"))
    notes += _unchecked(unknown, database)
    if database is not None:
        database.close()
    return found, notes


def check_manifest(path: str, data: bytes, database: Advisories | None) -> tuple[list[Finding], list[str]]:
    """Findings of known advisories for what a manifest pins, as it is, and what could not be checked."""
    if len(data) > _MOST:
        return [], [f"{path}: too large; its dependencies were not checked"]
    drafts: list[Draft] = []
    unknown: set[str] = set()
    for one in dependencies(path, decode(data)):
        if one.version and not one.source and not one.script:
            if not database or not database.imported(one.ecosystem):
                unknown.add(one.ecosystem)
            else:
                drafts += _advised(one, database)
    return finish(drafts, path, decode(data).split("\n")), _unchecked(unknown, database)


def _unchecked(unknown: set[str], database: Advisories | None) -> list[str]:
    if not unknown:
        return []
    where = "there is no local database" if not database else "the local database has none"
    return [
        f"advisories for {', '.join(sorted(unknown))} were not checked: {where}; "
        "import it with `mainspring code scan --import-advisories FILE`"
    ]


def _manifest(change: FileChange, database: Advisories | None) -> tuple[list[Draft], set[str]]:
    before = {_key(one): one for one in dependencies(change.path, decode(change.before or b""))}
    drafts: list[Draft] = []
    unknown: set[str] = set()
    for one in dependencies(change.path, decode(change.after or b"")):
        old = before.get(_key(one))
        if old is not None and (old.version, old.source) == (one.version, one.source):
            continue
        if one.script:
            drafts.append(
                _draft(
                    "install-script",
                    "medium",
                    one,
                    f"{one.name} runs at installation: {one.source[:100]}",
                    "leave it out",
                )
            )
            continue
        drafts += _source(one, new=old is None)
        if one.version and not one.source:
            if not database or not database.imported(one.ecosystem):
                unknown.add(one.ecosystem)
            else:
                drafts += _advised(one, database)
    return drafts, unknown


def _key(one: Dependency) -> tuple[str, str, bool]:
    return one.ecosystem, package_name(one.name, one.ecosystem), one.script


def _draft(rule: str, severity: str, one: Dependency, message: str, fix: str, cwe: str = "CWE-829") -> Draft:
    return Draft(
        rule, cwe, severity, "high", one.line, message, fix, "", f"{rule} {one.name} {one.version} {one.source}"
    )


def _source(one: Dependency, *, new: bool) -> Iterator[Draft]:
    if one.name.startswith("-"):
        yield _draft(
            "package-index",
            "high",
            one,
            f"packages come from another place: {one.source[:120]}",
            "use the default index",
        )
        return
    near = looks_like(one.name, one.ecosystem) if new else ""
    if near:
        yield _draft(
            "look-alike-package",
            "high",
            one,
            f"{one.name} is named almost like {near}",
            f"did you mean {near}?",
            "CWE-1357",
        )
    if one.source:
        yield _draft(
            "unregistered-source", "medium", one, f"{one.name} comes from {one.source[:120]}", "use a released version"
        )
    elif not one.version and one.direct and new:
        yield _draft("unpinned-dependency", "info", one, f"{one.name} has no exact version", "pin it, or lock it")
    if new and one.direct:
        yield _draft(
            "new-dependency", "info", one, f"{one.name} is a new dependency", "say why it is needed", "CWE-1357"
        )


def _advised(one: Dependency, database: Advisories) -> Iterator[Draft]:
    for advisory in database.of(one.ecosystem, one.name, one.version):
        fix = f"use a version from {advisory.fixed} on" if advisory.fixed else "use another package"
        message = f"{one.name} {one.version}: {advisory.id} {advisory.summary}".strip()[:300]
        yield Draft(
            "vulnerable-dependency",
            "CWE-1395",
            advisory.severity,
            "high",
            one.line,
            message,
            fix,
            "",
            f"{advisory.id} {one.name} {one.version}",
        )


def looks_like(name: str, ecosystem: str) -> str:
    """The popular name that another one could be mistaken for, "" when there is none."""
    own = package_name(name, ecosystem).lower()
    popular = _POPULAR.get(ecosystem, ())
    if own in popular:
        return ""
    for other in popular:
        if len(other) < 4 or len(own) < 4:
            continue
        if re.sub(r"[-_.]", "", own) == re.sub(r"[-_.]", "", other) or (len(other) > 4 and _distance_one(own, other)):
            return other
        if own in (f"python-{other}", f"{other}-python", f"{other}s", f"{other}js", f"{other}-js") and len(other) > 5:
            return other
    return ""


def _distance_one(one: str, other: str) -> bool:
    """Whether one edit (a letter more, fewer, other, or two swapped) turns one into the other."""
    if abs(len(one) - len(other)) > 1 or one == other:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    a, b = one[start:], other[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:] and len(a) > 1)
