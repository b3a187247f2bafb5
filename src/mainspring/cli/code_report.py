"""The report of a run on code, printed by whatever command drove the run to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.cli.output import Output
from mainspring.cli.status import FAILED

if TYPE_CHECKING:
    from mainspring.engineer.start import CodeResult
    from mainspring.runtime.run import Run


def is_code(run: Run) -> bool:
    """Whether a run works on a repository, so that its end is a report and not an answer."""
    from mainspring.code.git import load
    from mainspring.errors import MainspringError

    try:
        load(run.home, run.id)
    except MainspringError:
        return False
    return True


def tell(run_id: str, output: Output, *, json_: bool) -> CodeResult:
    """Keep the patch as it is now, and print the report."""
    from mainspring.engineer.start import finish
    from mainspring.runtime.run import Run

    result = finish(Run.load(run_id))
    if json_:
        output.json({**result.report.encode(), "kind": "report"})
    else:
        output.text(result.report.text())
    return result


def settle(status: int, run_id: str, output: Output, *, json_: bool) -> tuple[int, CodeResult]:
    """Print the report of a run that stopped with exit `status`, and say with which status to leave."""
    result = tell(run_id, output, json_=json_)
    # Done, but the patch is not what was verified: a process that it had left running wrote after the last check, say.
    return (FAILED if status == 0 and not result.done else status), result
