"""Scans every patch before it is offered: vulnerabilities, secrets, advisories, dangerous changes, weaker tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.code.scan.advisories import Advisories, import_advisories
    from mainspring.code.scan.finding import Finding, Justification, ScanReport, ScanSettings
    from mainspring.code.scan.fixes import apply_fixes
    from mainspring.code.scan.patches import scan_files, scan_patch
    from mainspring.code.scan.weakened import weakened_tests

__all__ = [
    "Advisories",
    "Finding",
    "Justification",
    "ScanReport",
    "ScanSettings",
    "apply_fixes",
    "import_advisories",
    "scan_files",
    "scan_patch",
    "weakened_tests",
]

_HOME = {
    "Advisories": "advisories",
    "Finding": "finding",
    "Justification": "finding",
    "ScanReport": "finding",
    "ScanSettings": "finding",
    "apply_fixes": "fixes",
    "import_advisories": "advisories",
    "scan_files": "patches",
    "scan_patch": "patches",
    "weakened_tests": "weakened",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mainspring.code.scan' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"mainspring.code.scan.{_HOME[name]}"), name)
