"""A patch is scanned, mended as far as that is safe, and what is left needs a reason.

python examples/27_scan.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from mainspring.code.patch import FileChange, Patch
from mainspring.code.scan import Justification, apply_fixes, scan_patch

BEFORE = """import sqlite3


def find(db: sqlite3.Connection, name: str) -> list[tuple]:
    return db.execute("SELECT * FROM users WHERE name = ?", (name,)).fetchall()
"""
AFTER = """import pickle
import sqlite3


def find(db: sqlite3.Connection, name: str) -> list[tuple]:
    return db.execute(f"SELECT * FROM users WHERE name = '{name}'").fetchall()


def load(data: bytes) -> object:
    return pickle.loads(data)  # nosec
"""


def main() -> None:
    """Scan, fix, scan again, justify."""
    with TemporaryDirectory() as folder:
        patch = Patch((FileChange("users.py", BEFORE.encode(), AFTER.encode()),))
        report = scan_patch(patch, Path(folder))
        for finding in report.open():
            print(f"{finding.path}:{finding.line} {finding.severity} {finding.rule} {finding.cwe or ''}".rstrip())

        (fixed,) = apply_fixes(report.open(), {"users.py": AFTER}).changes
        print(fixed.diff())

        left = scan_patch(Patch((FileChange("users.py", BEFORE.encode(), fixed.after),)), Path(folder))
        for finding in left.open():
            for who in ("model", "ann"):
                said = Justification(finding.id, "only our own files are read", by=who)
                settled = finding not in left.open([said])
                print(f"{finding.rule}: the word of {who} {'is enough' if settled else 'is not enough'}")


if __name__ == "__main__":
    main()
