"""bandit's checks, in this process: those that are precise and that our own rules do not make.

Nothing in the workspace configures it: neither `# nosec` nor a configuration file is read.
"""

from __future__ import annotations

import io
import logging
import warnings
from functools import lru_cache
from typing import Any

from mainspring.code.scan.finding import Draft

__all__ = ["check"]

#: Bandit's tests that are run. Left out are those that name a module or a habit rather than a fault (asserts, imports
#: of subprocess or pickle, requests without a timeout), and those that our rules make with fewer false alarms.
TESTS = (
    "B304",
    "B305",
    "B306",
    "B401",
    "B402",
    "B411",
    "B415",
    "B502",
    "B503",
    "B504",
    "B505",
    "B507",
    "B508",
    "B509",
    "B609",
    "B611",
    "B612",
    "B702",
)
#: What our rules call the same thing, so that it is told once.
SAME = {
    "B304": "weak-cipher",
    "B305": "weak-cipher",
    "B306": "insecure-temp",
    "B401": "cleartext-protocol",
    "B402": "cleartext-protocol",
    "B502": "weak-tls",
    "B503": "weak-tls",
    "B504": "weak-tls",
    "B505": "weak-key",
    "B507": "host-key-unchecked",
    "B609": "command-injection",
    "B611": "sql-injection",
    "B702": "autoescape-off",
    "B411": "xxe",
}


@lru_cache(maxsize=1)
def _bandit() -> tuple[Any, Any]:
    logging.getLogger("bandit").setLevel(logging.CRITICAL)  # it warns of paths that are not on disk
    # It warns of its own deprecated calls.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from bandit.core import config, manager  # type: ignore[import-untyped]

    return manager.BanditManager, config.BanditConfig()


def check(source: bytes) -> list[Draft]:
    """What bandit finds in a source, as findings of our own shape."""
    kind, settings = _bandit()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            manager = kind(settings, "file", profile={"include": list(TESTS)}, ignore_nosec=True)
        manager._execute_ast_visitor("module.py", io.BytesIO(source), source, {})
    except Exception:  # a library's fault on a strange source must not end the scan
        return []
    found = []
    for issue in manager.results:
        severity = str(issue.severity).lower()
        number = issue.cwe.id if issue.cwe else 0
        rule = SAME.get(issue.test_id, f"bandit-{issue.test_id.lower()}")
        found.append(
            Draft(
                rule,
                f"CWE-{number}" if number else None,
                severity if severity in ("low", "medium", "high") else "low",
                str(issue.confidence).lower() if str(issue.confidence).lower() in ("low", "medium", "high") else "low",
                int(issue.lineno or 1),
                " ".join(str(issue.text).split())[:300],
                f"see bandit {issue.test_id} ({issue.test})",
            )
        )
    return found
