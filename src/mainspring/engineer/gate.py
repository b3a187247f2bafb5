"""The gate before "done": only a patch that passed its verification, exactly as it is now, may end a run as done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from mainspring.engineer.journal import verifications_in

if TYPE_CHECKING:
    from mainspring.runtime.run import Run


#: What the model is told when nothing was verified of the patch as it is.
UNVERIFIED = "The patch as it is now was not verified. Call verify_change."


async def only_verified(output: Any, run: Run) -> str | None:
    """The check of the coding agent: None, or what the model has to do before its answer counts.

    Whoever wrote the answer is not asked whether the patch works: the patch is computed from the working copy, and
    the run's journal must hold a verification of that very patch (by digest) which passed.

    Raises:
        ToolError: the run has no working copy, or it cannot be read.
    """
    from mainspring.code.git import load

    record = load(run.home, run.id)
    patch = await asyncio.to_thread(record.patch)
    if not patch:
        return None
    found = next(reversed(await asyncio.to_thread(verifications_in, run, patch.digest)), None)
    if found is None:
        return UNVERIFIED
    if found.passed:
        return None
    failed = "\n".join(check.text() for check in found.checks if check.verdict == "failed")
    return f"The patch did not pass its verification:\n{failed}\nMend it, or undo it and say why it cannot be done."
