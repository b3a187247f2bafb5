"""The command line: `mainspring run | runs | approvals | models | doctor | demo`."""

from __future__ import annotations

import sys


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status.

    0 done, 1 failed, 2 wrong usage, 3 waiting for a person (or paused, or in doubt), 130 interrupted.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] in (["--version"], ["-V"]):
        # Answered before anything else is imported: scripts ask this often.
        from mainspring import __version__

        if sys.stdout is not None:
            try:
                print(f"mainspring {__version__}", flush=True)
            except BrokenPipeError:
                return 1
        return 0
    from mainspring.cli.app import start

    return start(arguments)
