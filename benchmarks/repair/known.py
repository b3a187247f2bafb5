"""Bugs that a search found before, by name and digest: finding them again would take hundreds of test runs.

The file holds no code of the packages: each bug is made anew from the pinned archives, and its digest compared.

    python -m benchmarks.repair.known ROWS.json      # note the bugs of a results file
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.repair.bugs import MUTATION, RELEASE, Bug, mutation_of, release_folder
from benchmarks.repair.packages import PAIRS
from benchmarks.repair.packages import source as source_of
from mainspring.code.breaking.mutate import Mutation, mutations
from mainspring.code.breaking.releases import reversals
from mainspring.errors import MainspringError

FILE = Path(__file__).with_name("bugs.json")
_TEXT = ("before", "after")


def known(scratch: Path, key: str, seed: int) -> list[Bug] | None:
    """The noted bugs of these settings, made again; None when none are noted.

    Args:
        scratch: a folder for unpacked releases.
        key: slips, fixes and seed, as in the results file.
        seed: the one that they were found with.

    Raises:
        MainspringError: a package has another text now than when the bug was noted, or the mutator changed.
    """
    noted = json.loads(FILE.read_text("utf-8")).get(key)
    if noted is None:
        return None
    possible: dict[tuple[str, ...], list[Mutation]] = {}
    found: list[Bug] = []
    for bug in noted:
        place = bug["origin"], bug["package"], bug["version"]
        if place not in possible:
            possible[place] = _candidates(scratch, seed, *place)
        mutation = next((m for m in possible[place] if _digest(m) == bug["digest"]), None)
        if mutation is None:
            raise MainspringError(f"{bug['id']} cannot be made again; search for other bugs with --search")
        found.append({**{k: v for k, v in bug.items() if k != "digest"}, **dataclasses.asdict(mutation)})
    return found


def noted(bug: Bug) -> Bug:
    """The bug without the package's text."""
    return {**{k: v for k, v in bug.items() if k not in _TEXT}, "digest": _digest(mutation_of(bug))}


def _candidates(scratch: Path, seed: int, origin: str, package: str, version: str) -> list[Mutation]:
    source = source_of(package, version)
    folder = release_folder(scratch, source)
    make: dict[str, Callable[[], list[Mutation]]] = {
        MUTATION: lambda: mutations(folder, source.files(folder), seed),
        RELEASE: lambda: [
            mutation
            for older, newer in PAIRS
            if newer == source
            for mutation in reversals(folder, newer.files(folder), release_folder(scratch, older), seed)
        ],
    }
    return make[origin]()


def _digest(mutation: Mutation) -> str:
    return hashlib.sha256(json.dumps(dataclasses.astuple(mutation)).encode()).hexdigest()[:16]


def main() -> None:
    """Note the bugs of a results file."""
    rows = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    content = {key: [noted(bug) for bug in bugs] for key, bugs in rows["bugs"].items()}
    FILE.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
