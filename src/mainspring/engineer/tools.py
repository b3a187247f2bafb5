"""The tools `verify_change` and `accept_finding`."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from mainspring.errors import ToolError
from mainspring.tool import Tool, ToolContext
from mainspring.tools.provenance import WORKSPACE

_MAX_REASON = 2_000
#: Findings that one verification may justify; whoever reads the report has to read them.
_MAX_JUSTIFIED = 50


def verify_change(test_command: str | None = None, *, timeout_s: float = 1800.0) -> Tool:
    """The tool that verifies the working copy's patch.

    It reads the working copy and works in copies of its own, in the sandbox and without network: to run it again
    after a crash is harmless, so its effect is ``read``.

    Args:
        test_command: how the tests are run; detected by default.
        timeout_s: seconds for one run of the tests.
    """

    async def verify(
        context: ToolContext, justified: dict[str, str] | None = None, no_test: str = ""
    ) -> dict[str, Any]:
        """Verify what you changed: syntax, security scan, tests before and after, a test that shows the change.

        Args:
            justified: finding id to the reason why it is no fault
            no_test: why no test can show the change (say, only wording changed)
        """
        from mainspring.code.git import load
        from mainspring.engineer.verify import Wanted
        from mainspring.engineer.verify import verify as run_verify

        if len(justified or {}) > _MAX_JUSTIFIED:
            raise ToolError(f"{len(justified or {})} findings are justified; mend some, {_MAX_JUSTIFIED} are the most")
        for reason in (*(justified or {}).values(), no_test):
            if len(reason) > _MAX_REASON:
                raise ToolError(f"a reason has {len(reason):,} characters; say it in {_MAX_REASON:,}")
        if context.home is None:
            raise ToolError("this run has no home; start it with `mainspring code`")
        record = load(context.home, context.run_id)
        stop = threading.Event()
        wanted = Wanted(test_command, timeout_s, dict(justified or {}), no_test.strip())
        thread = asyncio.ensure_future(
            asyncio.to_thread(run_verify, record, context.home, wanted, context.report, stop)
        )
        try:
            return (await asyncio.shield(thread)).encode()
        except asyncio.CancelledError:
            stop.set()
            await asyncio.wait({thread})
            raise

    return Tool(verify, name="verify_change", effect="read", authority=["justified", "no_test"], label=WORKSPACE)


def accept_finding() -> Tool:
    """The tool by which a person takes a severe finding upon himself; it never passes without one."""

    def accept(finding: str, reason: str, context: ToolContext) -> str:
        """Ask the person to accept a severe finding of verify_change that is no fault. Mend it instead if you can.

        Args:
            finding: its id
            reason: why it is no fault
        """
        from mainspring.engineer.accepted import add

        if context.home is None:
            raise ToolError("this run has no home; start it with `mainspring code`")
        add(context.home, context.run_id, finding, reason)
        return f"The person accepted {finding}."

    return Tool(
        accept,
        name="accept_finding",
        effect="irreversible",
        outside=False,
        authority=["finding", "reason"],
        reconcile=_reconcile_accept,
        label=WORKSPACE,
    )


def _reconcile_accept(finding: str, reason: str, context: ToolContext) -> Any:
    from mainspring.engineer.accepted import accepted
    from mainspring.tool import DidNotHappen, Happened

    if context.home is not None and accepted(context.home, context.run_id).get(finding) == reason:
        return Happened(f"The person accepted {finding}.")
    return DidNotHappen()
