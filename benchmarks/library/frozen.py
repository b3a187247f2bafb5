"""Whether the set is the one that the figures were taken on: digests of its pages and of its queries, by side.

``python -m benchmarks.library.frozen`` freezes it as it is now, which makes all figures before incomparable.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.library.asked import FOLDER, RULE, Query, SetError
from benchmarks.library.build import Made

FILE = Path(__file__).with_name("frozen.json")


def digests(side: str, made: Sequence[Made], queries: Sequence[Query]) -> dict[str, str]:
    """Of the pages' normalised texts, of the written queries, of all queries with what answers them and the rule."""
    pages = [[one.piece.name, *one.digests] for one in sorted(made, key=lambda one: one.piece.name)]
    asked = sorted([q.text, q.kind, *[[t.document, t.section, t.page, t.grade] for t in q.targets]] for q in queries)
    return {
        "pages": _digest(json.dumps(pages)),
        "written": hashlib.sha256((FOLDER / f"{side}.jsonl").read_bytes()).hexdigest()[:16],
        "queries": _digest(json.dumps([RULE, asked])),
    }


def check(side: str, now: dict[str, str]) -> None:
    """Raises SetError when the side is another than the frozen one."""
    frozen = json.loads(FILE.read_text())[side]
    changed = [name for name in frozen if frozen[name] != now[name]]
    if changed:
        raise SetError(
            f"the {side} side is not the frozen one: its {' and '.join(changed)} changed (a registry that serves "
            "another version of a package does that). Its figures cannot be compared with the published ones; run with "
            "--changed-set to measure it all the same"
        )


def main() -> None:
    """Write the digests of the set as it is now."""
    from benchmarks.library import build, derive
    from benchmarks.library.asked import written
    from benchmarks.output import note

    made = build.make(note=note)
    found = {}
    for side in ("tune", "test"):
        mine = [one for one in made if one.piece.side == side]
        found[side] = digests(side, mine, written(side, mine) + derive.derived(side, mine))
    FILE.write_text(json.dumps(found, indent=1) + "\n")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


if __name__ == "__main__":
    main()
