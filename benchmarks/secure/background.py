"""Findings in code that was not written for this: modules of Python's standard library, as installed.

Not every one of them is false; the number says how often a person is asked to look.
"""

from __future__ import annotations

import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from mainspring.code.scan import scan_files

# fmt: off
MODULES = (
    "argparse", "calendar", "cgi", "cmd", "code", "configparser", "csv", "datetime", "difflib", "email/message",
    "fractions", "getopt", "gettext", "heapq", "html/parser", "http/cookiejar", "http/server", "imaplib",
    "json/decoder", "logging/config", "mailbox", "mimetypes", "optparse", "pathlib", "pprint", "shlex",
    "shutil", "sched", "smtplib", "statistics", "string", "textwrap", "timeit", "urllib/parse",
    "urllib/request", "uuid", "webbrowser", "xmlrpc/client", "zipfile",
)
# fmt: on


def background(scratch: Path, quick: bool) -> dict[str, Any]:
    """Findings per 1,000 lines; modules that this interpreter lacks are left out and counted."""
    library = Path(sysconfig.get_path("stdlib"))
    chosen = MODULES[::6] if quick else MODULES
    lines = files = 0
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        for module in chosen:
            source = library / f"{module}.py"
            if source.exists():
                text = source.read_text(encoding="utf-8", errors="replace")
                (Path(name) / f"{module.replace('/', '_')}_part.py").write_text(text, encoding="utf-8")
                lines += text.count("\n")
                files += 1
        found = scan_files([Path(name)], root=Path(name)).open()
    medium = sum(one.rank >= 2 for one in found)
    return {
        "files": files,
        "missing": len(chosen) - files,
        "lines": lines,
        "findings": len(found),
        "per_1000_lines": 1000 * len(found) / max(1, lines),
        "medium_per_1000_lines": 1000 * medium / max(1, lines),
    }
