"""Everything that is looked for in one file, whatever its bytes are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from mainspring.code.scan import places
from mainspring.code.scan.finding import Draft, Finding, ScanSettings, finish
from mainspring.code.scan.hidden import hidden
from mainspring.code.scan.rules import draft
from mainspring.code.scan.secret_scan import drafts as secret_drafts
from mainspring.code.scan.secret_scan import find_secrets, mask

__all__ = ["FileScan", "decode", "scan_bytes"]

_TEMPLATE = re.compile(r"\.(html?|jinja2?|j2|djhtml|vue|hbs|ejs|erb|mako|tmpl|gohtml)$", re.I)
_UNESCAPED = (
    re.compile(r"\{\{[^}]{0,300}\|\s{0,4}safe\b"),
    re.compile(r"\{%-?\s{0,4}autoescape\s{1,4}(off|false)"),
    re.compile(r"<%-(?!\s{0,4}include)"),
    re.compile(r"\{\{\{[^}]{0,300}\}\}\}"),
    re.compile(r"\bv-html\s{0,4}="),
)
#: Read when a file does not parse: the plainest faults, by their words alone.
_WORDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("code-injection", re.compile(r"(?<![\w.])(eval|exec)\s{0,4}\(\s{0,4}(?!['\"][^'\"]{0,200}['\"]\s{0,4}\))\w")),
    (
        "command-injection",
        re.compile(r"\bos\.(system|popen)\s{0,4}\(\s{0,4}(f['\"]|\w|['\"][^'\"]{0,300}['\"]\s{0,4}[+%])"),
    ),
    ("command-injection", re.compile(r"\bshell\s{0,4}=\s{0,4}True\b")),
    (
        "deserialisation",
        re.compile(r"\b(c?[pP]ickle|marshal|dill)\.loads?\s{0,4}\(|\byaml\.(unsafe_)?load\s{0,4}\((?![^)]{0,200}Safe)"),
    ),
    (
        "tls-verification-off",
        re.compile(r"\bverify\s{0,4}=\s{0,4}False\b|rejectUnauthorized\W{1,6}false|InsecureSkipVerify\W{1,6}true"),
    ),
    (
        "sql-injection",
        re.compile(r"\.execute\w{0,6}\s{0,4}\(\s{0,4}(f['\"]|['\"][^'\"]{0,300}['\"]\s{0,4}(\+|%|\.format))"),
    ),
    ("weak-hash", re.compile(r"\bhashlib\.(md5|sha1)\s{0,4}\(")),
)


@dataclass(slots=True)
class FileScan:
    """What one file holds, and what could not be looked at."""

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def decode(data: bytes) -> str:
    """A file's text: UTF-8 or what its mark says; other bytes become escapes, NULs go, lines end in ``\\n``."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", "backslashreplace")
    else:
        text = data.decode("utf-8", "backslashreplace")
    return text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")


def scan_bytes(path: str, data: bytes, settings: ScanSettings) -> FileScan:
    """Look at one file."""
    from mainspring.tools.syntax import language_of

    result = FileScan()
    language = language_of(path)
    if len(data) > settings.max_bytes:
        result.notes.append(f"{path}: {len(data)} bytes are more than is scanned ({settings.max_bytes})")
        return result
    if b"\0" in data[:8000] and language is None and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return result
    text = decode(data)
    testing = places.is_test(path)
    generated = places.is_generated(path) or places.is_lock(path)
    if language is None and text.startswith("#!") and "python" in text.split("\n", 1)[0]:
        language = "python"
    secrets = [] if places.is_lock(path) else find_secrets(text, testing)
    found = secret_drafts(text, secrets)
    found += hidden(text, language is not None)
    if b"\0" in data and language is not None and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        found.append(
            Draft("binary-in-source", "CWE-506", "high", "high", 1, "a source file holds NUL bytes", "remove them")
        )
    if not generated:
        try:
            found += _code(path, language, text, testing, settings, result)
        except RecursionError:
            result.notes.append(f"{path}: nested too deep; only its words were looked at")
            found += _words(text)
    elif language is not None:
        result.notes.append(f"{path}: generated or vendored; only secrets and hidden text were looked for")
    if _TEMPLATE.search(path):
        found += _pages(text)
    lines = text.split("\n")
    # No line with a secret in it gets into any finding.
    result.findings = [replace(one, snippet=mask(one.snippet, secrets)) for one in finish(_once(found), path, lines)]
    return result


def _code(
    path: str, language: str | None, text: str, testing: bool, settings: ScanSettings, result: FileScan
) -> list[Draft]:
    if language == "python":
        from mainspring.code.scan.python.analysis import analyse, parse

        tree = parse(text)
        if tree is None:
            result.notes.append(f"{path}: does not parse as Python; only its words were looked at")
            return _words(text)
        found = analyse(tree, testing)
        if settings.bandit and not testing:
            from mainspring.code.scan.python.bandit_checks import check

            found += check(text.encode("utf-8", "replace"))
        return found
    from mainspring.code.scan.trees.analysis import LANGUAGES
    from mainspring.code.scan.trees.analysis import analyse as analyse_tree

    if language in LANGUAGES:
        found, sound = analyse_tree(language, text.encode("utf-8", "replace"), testing)
        if not sound:
            result.notes.append(f"{path}: does not parse everywhere; a fault may be missed there")
            found += _words(text)
        return found
    return []


def _words(text: str) -> list[Draft]:
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        for rule, pattern in _WORDS:
            if pattern.search(line[:20_000]):
                found.append(draft(rule, number, severity="medium", confidence="low"))
    return found


def _pages(text: str) -> list[Draft]:
    return [
        draft("xss", number, severity="medium", message="a template shows a value without escaping it")
        for number, line in enumerate(text.split("\n"), 1)
        if any(pattern.search(line[:20_000]) for pattern in _UNESCAPED)
    ]


def _once(found: list[Draft]) -> list[Draft]:
    """Without what says less about the same line and class."""
    ours = {(one.line, one.cwe) for one in found if "bandit" not in one.fix}
    return [one for one in found if "bandit" not in one.fix or (one.line, one.cwe) not in ours]
