"""`scan_patch` and `scan_files`: what a change brings in, told apart from what was there."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mainspring.code.patch import Patch
from mainspring.code.scan.finding import SEVERITIES, Finding, ScanReport, ScanSettings, normal, older
from mainspring.errors import ToolError

__all__ = ["scan_files", "scan_patch"]

_SKIPPED = frozenset(
    {".git", "node_modules", ".venv", "venv", "__pycache__", ".tox", ".mypy_cache", ".ruff_cache", "target"}
)


@dataclass(slots=True)
class _Bounded:
    """Findings and notes of one scan, and what it may still cost."""

    settings: ScanSettings
    started: float = field(default_factory=time.monotonic)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: int = 0

    def more(self) -> bool:
        """Whether another file may be read."""
        return self.files < self.settings.max_files and time.monotonic() - self.started < self.settings.max_seconds

    def report(self, left: int) -> ScanReport:
        """The report, the most severe first."""
        if left:
            self.notes.append(
                f"{left} files were not scanned: more than {self.settings.max_files} files, "
                f"or than {self.settings.max_seconds:g} s"
            )
        ordered = sorted(self.findings, key=lambda f: (not f.introduced, -SEVERITIES.index(f.severity), f.path, f.line))
        if len(ordered) > self.settings.max_findings:
            self.notes.append(f"{len(ordered) - self.settings.max_findings} less severe findings were left out")
            ordered = ordered[: self.settings.max_findings]
        return ScanReport(tuple(ordered), tuple(dict.fromkeys(self.notes)))


def scan_patch(
    patch: Patch, workspace: Path, *, advisories: Path | None = None, settings: ScanSettings | None = None
) -> ScanReport:
    """What a patch brings in, and what was in the touched files before (`introduced` tells them apart).

    Nothing in the workspace configures the scan: suppressing comments are findings themselves.

    Args:
        patch: the change; both of its sides are scanned.
        workspace: the repository, for what a changed file refers to (declared dependencies).
        advisories: folder of the local advisory database; None or a missing one is told in the notes.
        settings: bounds.
    """
    from mainspring.code.scan.dangerous import dangerous
    from mainspring.code.scan.dependencies import check_dependencies
    from mainspring.code.scan.weakened import weakened_tests

    total = _Bounded(settings or ScanSettings())
    left = 0
    before: dict[str, list[Finding]] = {}
    after: dict[str, list[Finding]] = {}
    for change in patch.changes:
        if not total.more():
            left += 1
            continue
        total.files += 1
        before[change.path] = _side(change.path, change.before, total, told=False)
        after[change.path] = _side(change.path, change.after, total, told=True)
    moved = Counter(
        (one.rule, normal(one.snippet)) for c in patch.changes if c.after is None for one in before.get(c.path, ())
    )
    for path, found in after.items():
        known = {one.id for one in before[path]}
        for one in found:
            key = (one.rule, normal(one.snippet))
            if one.id in known:
                total.findings.append(older(one))
            elif moved[key] > 0:
                moved[key] -= 1
                total.findings.append(older(one))
            else:
                total.findings.append(one)
    looked = Patch(tuple(change for change in patch.changes if change.path in after))
    total.findings += dangerous(looked)
    total.findings += weakened_tests(looked)
    found, notes = check_dependencies(looked, workspace, advisories)
    total.findings += found
    total.notes += notes
    return total.report(left)


def scan_files(
    paths: Iterable[Path],
    *,
    root: Path | None = None,
    advisories: Path | None = None,
    settings: ScanSettings | None = None,
) -> ScanReport:
    """What is in files, or in all files below folders. Links are not followed.

    Args:
        paths: files and folders.
        root: what the findings' paths are relative to (default: the working folder).
        advisories: folder of the local advisory database, for what manifests pin; None or a missing one is told.

    Raises:
        ToolError: a path does not exist.
    """
    from mainspring.code.scan.advisories import Advisories
    from mainspring.code.scan.dependencies import check_manifest
    from mainspring.code.scan.manifests import is_manifest

    database = Advisories(advisories) if advisories is not None else None
    base = (root or Path.cwd()).absolute()
    total = _Bounded(settings or ScanSettings())
    left = 0
    for file in _files(paths):
        if not total.more():
            left += 1
            continue
        total.files += 1
        absolute = file.absolute()
        name = str(absolute.relative_to(base)) if absolute.is_relative_to(base) else str(absolute)
        try:
            size = file.stat().st_size
            data = b"" if size > total.settings.max_bytes else file.read_bytes()
        except OSError as error:
            total.notes.append(f"{name}: cannot be read: {error.strerror}")
            continue
        if size > total.settings.max_bytes:
            total.notes.append(f"{name}: {size} bytes are more than is scanned ({total.settings.max_bytes})")
            continue
        total.findings += _side(name, data, total, told=True)
        if is_manifest(name):
            found, notes = check_manifest(name, data, database)
            total.findings += found
            total.notes += [note for note in notes if note not in total.notes]
    if database is not None:
        database.close()
    return total.report(left)


def _files(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        if path.is_dir():
            for folder, folders, names in os.walk(path):
                folders[:] = sorted(name for name in folders if name not in _SKIPPED)
                for name in sorted(names):
                    file = Path(folder, name)
                    if file.is_file() and not file.is_symlink():
                        yield file
        elif path.is_file():
            yield path
        else:
            raise ToolError(f"there is no file or folder {str(path)!r} to scan")


def _side(path: str, data: bytes | None, total: _Bounded, *, told: bool) -> list[Finding]:
    if data is None:
        return []
    from mainspring.code.scan.files import scan_bytes

    try:
        scanned = scan_bytes(path, data, total.settings)
    except (RecursionError, MemoryError) as error:
        if told:
            total.notes.append(f"{path}: could not be scanned ({type(error).__name__}); look at it yourself")
        return []
    if told:
        total.notes += scanned.notes
    return scanned.findings
