"""Several attempts at one task: making them until one is verified, and which of them to offer."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from mainspring.code.patch import Patch

if TYPE_CHECKING:
    from mainspring.engineer.start import CodeResult


_T = TypeVar("_T")


async def until(
    attempt: Callable[[int], Coroutine[Any, Any, _T]],
    count: int,
    enough: Callable[[_T], bool],
    stop: Callable[[int], Awaitable[None]],
    *,
    beside: int,
) -> list[_T]:
    """Make attempts 0, 1, ... in order, so many beside each other, until one is enough; all results, by number.

    When one is enough, no other is begun, those under way are told to stop, and all of them are waited for: each has
    a working copy and a run that must come to an end. An attempt that raises is none; it is raised when no other is
    left to offer.

    Args:
        attempt: makes the attempt of a number.
        count: how many at most.
        enough: whether a result is what was wanted.
        stop: tells the attempt of a number to come to an end.
        beside: how many at the same time.
    """
    results: dict[int, _T] = {}
    failure: BaseException | None = None
    working: dict[asyncio.Task[_T], int] = {}
    begun, over = 0, False
    try:
        while working or (begun < count and not over):
            while begun < count and not over and len(working) < beside:
                working[asyncio.create_task(attempt(begun))] = begun
                begun += 1
            ended, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                number = working.pop(task)
                error = task.exception()
                if error is not None:
                    failure = failure or error
                    continue
                results[number] = task.result()
                if enough(results[number]) and not over:
                    over = True
                    for other in working.values():
                        await stop(other)
    finally:
        for task in working:  # we are cancelled ourselves: their runs pause, and can be resumed
            task.cancel()
        if working:
            await asyncio.wait(working)
    if not results and failure is not None:
        raise failure
    return [results[number] for number in sorted(results)]


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
