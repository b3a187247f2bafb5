"""Mends findings whose remedy keeps what the code does; each fix is scanned again before it is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from mainspring.code.patch import FileChange, Patch
from mainspring.code.scan.finding import SEVERITIES, Finding, ScanSettings
from mainspring.tools.syntax import check_syntax

__all__ = ["apply_fixes"]


def apply_fixes(findings: Iterable[Finding], source: Path | Mapping[str, str]) -> Patch:
    """A patch that mends what can be mended safely.

    A fix is kept only when the file still parses, the finding is gone, and no other one came.

    Args:
        findings: of a scan of these very files.
        source: the folder that the findings' paths are relative to, or the texts by path.

    Returns:
        The changes; files of which nothing could be mended are left out.
    """
    by_path: dict[str, list[Finding]] = {}
    for finding in findings:
        by_path.setdefault(finding.path, []).append(finding)
    changes = []
    for path, found in sorted(by_path.items()):
        before = _read(source, path)
        if before is None:
            continue
        after = _mend(path, before, found)
        if after != before:
            changes.append(FileChange(path, before.encode("utf-8"), after.encode("utf-8")))
    return Patch(tuple(changes))


def _read(source: Path | Mapping[str, str], path: str) -> str | None:
    if not isinstance(source, Path):
        return source.get(path)
    file = source / path
    try:
        if file.is_symlink() or not file.resolve().is_relative_to(source.resolve()):
            return None
        return file.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _mend(path: str, text: str, findings: list[Finding]) -> str:
    # From the end to the beginning, so that lines above stay where the findings say.
    for finding in sorted(findings, key=lambda one: -one.line):
        now = _scan(path, text)
        here = [one for one in now if one.rule == finding.rule and one.snippet == finding.snippet]
        if not here:
            continue  # another fix mended it too
        nearest = min(here, key=lambda one: abs(one.line - finding.line))
        changed = _fix(path, text, nearest)
        if changed is None or changed == text or not _better(path, text, changed, nearest, now):
            continue
        text = changed
    return text


def _fix(path: str, text: str, finding: Finding) -> str | None:
    if path.endswith((".py", ".pyi")):
        from mainspring.code.scan.fixes.python import fix

        return fix(text, finding.rule, finding.line)
    from mainspring.code.scan.fixes.lines import fix as fix_line

    return fix_line(path, text, finding.rule, finding.line)


def _scan(path: str, text: str) -> list[Finding]:
    from mainspring.code.scan.files import scan_bytes

    return scan_bytes(path, text.encode("utf-8"), ScanSettings()).findings


def _better(path: str, old: str, new: str, finding: Finding, before: list[Finding]) -> bool:
    if check_syntax(path, new.encode()) is not None and check_syntax(path, old.encode()) is None:
        return False
    after = _scan(path, new)
    weight = Counter(one.rule for one in before)
    weight.subtract(Counter(one.rule for one in after))
    if weight[finding.rule] < 1:
        return False
    ranks = sum(SEVERITIES.index(one.severity) for one in before) - sum(SEVERITIES.index(one.severity) for one in after)
    return all(times >= 0 for times in weight.values()) and ranks > 0
