"""``python -m benchmarks.agentdojo``: AgentDojo through Mainspring's real loop; see docs/guard-measured.md."""

from __future__ import annotations

import argparse
import sys

from benchmarks.agentdojo.environment import enter, inside

SUITES = ("workspace", "slack", "banking", "travel")
QUICK = ("workspace", "slack")


def main() -> None:
    """Run the benchmark and print its figures; what needs AgentDojo runs in an environment that holds both."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agentdojo", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the object (it always is)")
    parser.add_argument("--quick", action="store_true", help="the workspace and slack suites only")
    parser.add_argument("--suite", choices=SUITES, action="append", help="only this suite (may be repeated)")
    parser.add_argument("--mode", choices=("clean", "tainted"), default="clean", help="how the runs are guarded")
    parser.add_argument("--detail", action="store_true", help="print each task: means, questions and what was reached")
    parser.add_argument("--seed", type=int, default=7, help="of the sample of readers' answers")
    options = parser.parse_args()
    if not inside():
        enter("benchmarks.agentdojo", sys.argv[1:])
    from benchmarks.agentdojo.report import report

    suites = tuple(options.suite or (QUICK if options.quick else SUITES))
    report(suites, options.mode, options.seed, options.detail)


if __name__ == "__main__":
    main()
