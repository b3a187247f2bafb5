"""Several attempts at one task: which of them to offer."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mainspring.code.patch import Patch

if TYPE_CHECKING:
    from mainspring.engineer.start import CodeResult


def best(results: Sequence[CodeResult]) -> CodeResult:
    """The attempt to offer: verified before unverified, then the one that most others agree with, then the smallest.

    Agreement is on the changed code, not on tests or words: two attempts that leave the same lines in the same source
    files agree. Selection by agreement among passing candidates follows AlphaCode's clustering (Li et al., 2022,
    section 4.6) in its simplest form.

    Args:
        results: at least one.
    """
    votes = Counter(essence(result.report.patch) for result in results if result.report.verified)

    def rank(result: CodeResult) -> tuple[bool, bool, int, int]:
        patch = result.report.patch
        size = sum(len(c.added_lines()) + len(c.removed_lines()) for c in patch.changes)
        return (not result.report.verified, not result.done, -votes[essence(patch)], size)

    return min(results, key=rank)


def essence(patch: Patch) -> str:
    """A digest of what a patch leaves in source files, with white space told apart only where it begins a line."""
    from mainspring.engineer.testfiles import is_prose, is_test

    total = hashlib.sha256()
    for change in patch.changes:
        if is_test(change.path) or is_prose(change.path):
            continue
        lines = [line.rstrip() for line in change.text("after").splitlines() if line.strip()]
        total.update("\n".join([change.path, *lines, ""]).encode())
    return total.hexdigest()
