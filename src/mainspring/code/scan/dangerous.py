"""Changes that are dangerous whatever the code does: checks switched off, protection removed, hooks, binaries."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from mainspring.code.patch import FileChange, Patch
from mainspring.code.scan import places
from mainspring.code.scan.files import decode
from mainspring.code.scan.finding import Draft, Finding, finish
from mainspring.code.scan.python.analysis import parse

__all__ = ["dangerous"]

_LARGE = 2000
_LINE = 5000
#: Larger files are not parsed for what they swallow, in characters.
_PARSED = 2 << 20
_SUPPRESSED: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    (
        "a security check is switched off",
        "medium",
        re.compile(
            r"#\s{0,4}nosec\b|//\s{0,4}nosec\b|#\s{0,4}nosemgrep|//\s{0,4}nosemgrep|"
            r"\bgitleaks:allow\b|\bpragma: allowlist secret|//\s{0,4}NOSONAR|#\s{0,4}NOSONAR"
        ),
    ),
    (
        "a check is switched off",
        "low",
        re.compile(
            r"#\s{0,4}(noqa\b|type:\s{0,4}ignore|pylint:\s{0,4}disable|pyright:\s{0,4}ignore|mypy:\s{0,4}ignore-errors|flake8:\s{0,4}noqa|"
            r"ruff:\s{0,4}noqa)|(//|/\*)\s{0,4}(eslint-disable|@ts-ignore|@ts-nocheck|@ts-expect-error|tslint:disable|biome-ignore|nolint\b|"
            r"NOLINT)|#!?\[allow\(|@SuppressWarnings|#pragma\s{1,4}(GCC|clang)\s{1,4}diagnostic\s{1,4}ignored|checkstyle:off"
        ),
    ),
    (
        "code is left out of coverage",
        "low",
        re.compile(r"#\s{0,4}pragma:\s{0,4}no\s{0,4}cover|istanbul ignore|c8 ignore|v8 ignore"),
    ),
)
_AUTH = re.compile(
    r"@\s{0,2}(\w+\.)?(login_required|requires?_auth\w*|auth_required|permission_required|jwt_required|token_required|"
    r"admin_required|staff_member_required|user_passes_test|roles?_required|require_permission\w*|csrf_protect|PreAuthorize|"
    r"Secured|RolesAllowed|UseGuards|Authorize|authenticated|requires)\b|IsAuthenticated\b|Depends\(\s{0,4}(get_)?current_\w+|"
    r"\b(requireAuth|ensureAuthenticated|isAuthenticated|passport\.authenticate|verifyToken|authenticateToken|checkPermission|"
    r"csrfProtection|helmet|rateLimit)\b"
)
_PROTECTION = re.compile(
    r"\b(compare_digest|html\.escape|shlex\.quote|secure_filename|is_relative_to|safe_load|escape_filter_chars|bleach\.clean|"
    r"DOMPurify\.sanitize|timingSafeEqual|escapeHtml|check_password|verify_signature|validate_csrf|is_safe_url|"
    r"url_has_allowed_host_and_scheme|full_clean|raise_for_status|ConstantTimeCompare|EscapeString|PreparedStatement|"
    r"setObjectInputFilter)\b"
)
_DEAD = re.compile(
    r"^\s*(if\s{1,4}(False|0)\s{0,4}:|if\s{0,4}\(\s{0,4}(false|0)\s{0,4}\)|#if\s{1,4}0\b|if\s{1,4}True\s{0,4}:|if\s{0,4}\(\s{0,4}true\s{0,4}\))"
)
_EMPTY_CATCH = re.compile(
    r"\bcatch\s{0,4}(\([^)\n]{0,100}\))?\s{0,4}\{\s{0,40}\}|\bcatch\s{0,4}\(\s{0,4}\.\.\.\s{0,4}\)\s{0,4}\{\s{0,20}\}"
)
_WORKFLOW = (
    (re.compile(r"pull_request_target"), "a workflow runs a stranger's code with the repository's rights"),
    (
        re.compile(r"\$\{\{\s{0,4}github\.(event\.(issue|pull_request|comment|review|head_commit)|head_ref)"),
        "text of a stranger gets into a workflow's script",
    ),
    (re.compile(r"permissions:\s{0,4}write-all"), "a workflow may write everything"),
)
_PLAIN = re.compile(r"\.(png|jpe?g|gif|webp|ico|woff2?|ttf|otf|pdf|mp[34]|wav|svgz)$", re.I)
_TOOLS = ("ruff", "mypy", "pytest", "coverage", "bandit", "pyright", "pylint", "flake8", "tox", "semgrep")


def dangerous(patch: Patch) -> list[Finding]:
    """Findings about the change itself; all of them are introduced."""
    found: list[Finding] = []
    added_everywhere: Counter[str] = Counter()
    for change in patch.changes:
        if change.after is not None:
            added_everywhere.update(part[0] for part in _AUTH.finditer(decode(change.after)))
            if change.before is not None:
                added_everywhere.subtract(part[0] for part in _AUTH.finditer(decode(change.before)))
    total = 0
    for change in patch.changes:
        before, after = decode(change.before or b""), decode(change.after or b"")
        added, removed = _differences(before, after)
        total += len(added)
        drafts = [*_whole(change), *_lines(change, added), *_removed(change, before, after, removed, added_everywhere)]
        if change.path.endswith((".py", ".pyi")) and len(before) + len(after) < _PARSED:
            drafts += _swallowed(before, after)
        if change.path.rsplit("/", 1)[-1] == "pyproject.toml":
            drafts += _project(before, after)
        if places.is_ci(change.path):
            drafts += _workflow(added)
        side = after if change.after is not None else before
        found += finish(drafts, change.path, side.split("\n"))
    if total > _LARGE and patch.changes:
        told = Draft(
            "large-diff",
            None,
            "info",
            "high",
            1,
            f"{total} lines are added; a person can hardly review that",
            "split it",
        )
        found += finish([told], patch.changes[0].path, [f"{total}"])
    return found


def _differences(before: str, after: str) -> tuple[dict[int, str], dict[int, str]]:
    """Lines that one side has more often than the other, by number. Moved lines are no difference."""

    def extra(side: str, other: str) -> dict[int, str]:
        known = Counter(line.strip() for line in other.split("\n"))
        found: dict[int, str] = {}
        for number, line in enumerate(side.split("\n"), 1):
            if known[line.strip()] > 0:
                known[line.strip()] -= 1
            elif line.strip():
                found[number] = line[:_LINE]
        return found

    return extra(after, before), extra(before, after)


def _whole(change: FileChange) -> Iterator[Draft]:
    path = change.path
    if places.is_ci(path):
        yield Draft(
            "ci-changed",
            None,
            "medium",
            "high",
            1,
            f"a build server's instructions were {change.kind}",
            "let a person look at it",
            path,
        )
    elif places.is_hook(path):
        yield Draft(
            "hook-changed",
            None,
            "medium",
            "high",
            1,
            f"what git runs or obeys was {change.kind}",
            "let a person look at it",
            path,
        )
    elif places.is_config_of_checks(path):
        yield Draft(
            "checks-changed",
            None,
            "medium",
            "high",
            1,
            f"the configuration of checks was {change.kind}",
            "say why in a justification",
            path,
        )
    binary = any(b"\0" in (side or b"")[:8000] for side in (change.before, change.after))
    if binary and change.after is not None:
        plain = _PLAIN.search(path) is not None
        yield Draft(
            "binary-file",
            "CWE-506",
            "info" if plain else "medium",
            "high",
            1,
            f"a binary file was {change.kind}",
            "build it from source instead",
            path,
        )
    if change.executable and change.after is not None and change.before is None and not change.after.startswith(b"#!"):
        yield Draft(
            "made-executable",
            "CWE-732",
            "low",
            "high",
            1,
            "a file that is no script is made executable",
            "leave the bit off",
            path,
        )
    if places.is_generated(path) and change.after is not None:
        yield Draft(
            "generated-edited",
            None,
            "low",
            "medium",
            1,
            "a generated or vendored file was changed by hand",
            "change its source",
            path,
        )
    if change.after is None and places.is_test(path):
        return


def _lines(change: FileChange, added: dict[int, str]) -> Iterator[Draft]:
    if change.path.endswith((".md", ".rst", ".txt")):
        return
    for number, line in added.items():
        for message, severity, pattern in _SUPPRESSED:
            match = pattern.search(line)
            if match:
                rule = "security-check-suppressed" if severity == "medium" else "check-suppressed"
                yield Draft(
                    rule, None, severity, "high", number, f"{message} ({match[0].strip()})", "mend the code instead"
                )
        if _DEAD.search(line):
            yield Draft(
                "constant-condition",
                "CWE-570",
                "low",
                "medium",
                number,
                "a condition that is constant switches code off or on",
                "remove it",
            )
        if _EMPTY_CATCH.search(line) and not places.is_test(change.path):
            yield Draft(
                "error-swallowed",
                "CWE-390",
                "low",
                "medium",
                number,
                "an error is caught and dropped",
                "handle or pass it on",
            )


def _removed(
    change: FileChange, before: str, after: str, removed: dict[int, str], balance: Counter[str]
) -> Iterator[Draft]:
    if change.before is None or change.after is None or places.is_test(change.path):
        return
    for _, line in removed.items():
        match = _AUTH.search(line)
        if match and balance[match[0]] < 0 and not line.lstrip().startswith(("import ", "from ", "#", "//", "*")):
            yield Draft(
                "authorisation-removed",
                "CWE-862",
                "high",
                "medium",
                1,
                f"a check of who may do this was removed: {match[0]}",
                "keep it",
                line.strip(),
                "removed " + line,
            )
    lost = Counter(part[0] for part in _PROTECTION.finditer(before))
    lost.subtract(part[0] for part in _PROTECTION.finditer(after))
    for name, times in lost.items():
        used = any(name in line and not line.lstrip().startswith(("import ", "from ")) for line in removed.values())
        if times > 0 and used and not _replaced(name, after, before):
            yield Draft(
                "protection-removed",
                "CWE-693",
                "medium",
                "medium",
                1,
                f"{name} is used less than before",
                "keep it, or say what protects instead",
                f"{name} removed",
                f"{name} {times}",
            )


def _replaced(name: str, after: str, before: str) -> bool:
    """Whether something of the same kind came instead."""
    return sum(1 for _ in _PROTECTION.finditer(after)) >= sum(1 for _ in _PROTECTION.finditer(before))


def _handlers(text: str) -> Counter[str]:
    tree = parse(text)
    found: Counter[str] = Counter()
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.ExceptHandler) and _drops(node):
            found[ast.unparse(node.type) if node.type else ""] += 1
    return found


def _drops(node: ast.ExceptHandler) -> bool:
    wide = node.type is None or ast.unparse(node.type) in ("Exception", "BaseException", "(Exception,)")
    return wide and all(isinstance(part, ast.Pass | ast.Continue) or _is_dots(part) for part in node.body)


def _is_dots(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _swallowed(before: str, after: str) -> Iterator[Draft]:
    old = _handlers(before) if before else Counter[str]()
    tree = parse(after)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.ExceptHandler) and _drops(node):
            key = ast.unparse(node.type) if node.type else ""
            if old[key] > 0:
                old[key] -= 1
                continue
            yield Draft(
                "error-swallowed",
                "CWE-390",
                "low",
                "high",
                node.lineno,
                "every error is caught and dropped",
                "catch the one that is expected",
            )


def _tools(text: str) -> dict[str, Any]:
    try:
        found = tomllib.loads(text).get("tool", {})
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}
    return {name: found.get(name) for name in _TOOLS} if isinstance(found, dict) else {}


def _project(before: str, after: str) -> Iterator[Draft]:
    old, new = _tools(before), _tools(after)
    for name in _TOOLS:
        if before and old.get(name) != new.get(name):
            yield Draft(
                "checks-changed",
                None,
                "medium",
                "high",
                1,
                f"the configuration of {name} changed",
                "say why in a justification",
                f"[tool.{name}]",
                f"tool.{name}",
            )


def _workflow(added: dict[int, str]) -> Iterator[Draft]:
    for number, line in added.items():
        for pattern, message in _WORKFLOW:
            if pattern.search(line):
                yield Draft(
                    "workflow-injection", "CWE-94", "high", "medium", number, message, "pass the text through env:"
                )
