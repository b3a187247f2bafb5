"""Which bugs are mended: slips of a seeded mutator, and fixes that releases made, taken back.

A bug is one broken function of an unpacked release whose tests all passed before and do not any more. The search
follows from the seed; what it finds is kept in the results file, since every candidate costs a run of the tests.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.output import note
from benchmarks.repair.packages import MUTATED, PAIRS
from mainspring.code.breaking.mutate import Mutation, mutations
from mainspring.code.breaking.releases import reversals
from mainspring.code.breaking.sdist import Source, fetch
from mainspring.tools.runners import run_tests

#: Where a bug comes from.
MUTATION, RELEASE = "mutation", "release"
_MOST_SECONDS = 30.0  # a slower suite would be most of the time, even on a busy machine
_CANDIDATES = 40
#: A larger share of failing tests tells of a changed interface rather than of a bug.
_MOST_FAILING = 0.2

Bug = dict[str, Any]
Sound = dict[str, tuple[int, float] | None]


def find_bugs(scratch: Path, slips: int, fixes: int, seed: int, sound: Sound) -> list[Bug]:
    """`slips` mutations and `fixes` taken back, mixed, so that a part of the list from its start is like the whole.

    Args:
        scratch: a folder for unpacked releases.
        slips, fixes: how many of each; fewer when the releases have no more.
        seed: chooses lines and order.
        sound: passed tests and seconds of each unbroken release (None: of no use here), read and added to.
    """
    search = _Search(scratch, seed, sound)
    packages = list(dict.fromkeys(new.name for _, new in PAIRS))
    mutated = _in_turn([search.slips(source) for source in MUTATED], slips)
    reverted = _in_turn([search.fixes(name) for name in packages], fixes)
    placed = [((i + 0.5) / len(bugs), bug) for bugs in (mutated, reverted) for i, bug in enumerate(bugs)]
    return [bug for _, bug in sorted(placed, key=lambda pair: pair[0])]


def mutation_of(bug: Bug) -> Mutation:
    """What breaks the release."""
    return Mutation(*(bug[f.name] for f in dataclasses.fields(Mutation)))


def release_folder(scratch: Path, source: Source) -> Path:
    """The unbroken release, unpacked under `scratch` once."""
    folder = scratch / f"sound-{source.name}-{source.version}"
    return folder if folder.exists() else fetch(source, folder)


def _in_turn(searches: list[Iterator[Bug]], count: int) -> list[Bug]:
    """One bug of each search after the other, until there are `count` or no more."""
    found: list[Bug] = []
    while searches and len(found) < count:
        for one in list(searches):
            bug = next(one, None)
            if bug is None:
                searches.remove(one)
                continue
            found.append(bug)
            lines = bug["before"].count("\n") + 1
            note(
                f"{bug['origin']} {len(found)}: {bug['id']} {bug['path']}:{bug['line']} ({bug['kind']}, {lines} lines)"
            )
            if len(found) == count:
                break
    return found


class _Search:
    def __init__(self, scratch: Path, seed: int, sound: Sound) -> None:
        self.scratch, self.seed, self.sound = scratch, seed, sound
        self.kinds: Counter[str] = Counter()

    def slips(self, source: Source) -> Iterator[Bug]:
        """Mutations of one release that its tests notice, each in another function."""
        if not self._usable(source):
            return
        folder = release_folder(self.scratch, source)
        pending = mutations(folder, source.files(folder), self.seed)
        while pending:
            # The kind that was used least so far, whatever the package: most places invite a wrong variable.
            mutation = min(pending, key=lambda m: self.kinds[m.kind])
            pending.remove(mutation)
            if failing := self._noticed(source, mutation, 1.0):
                pending = [m for m in pending if (m.path, m.function) != (mutation.path, mutation.function)]
                self.kinds[mutation.kind] += 1
                yield self._bug(MUTATION, source, mutation, failing)

    def fixes(self, name: str) -> Iterator[Bug]:
        """Functions of one package's releases, put back to the release before, that the newer one's tests notice."""
        used: set[tuple[str, str]] = set()
        for older, newer in reversed([pair for pair in PAIRS if pair[1].name == name]):
            if not self._usable(newer):
                continue
            folder = release_folder(self.scratch, newer)
            found = reversals(folder, newer.files(folder), release_folder(self.scratch, older), self.seed)
            for mutation in found[:_CANDIDATES]:
                if (mutation.path, mutation.function) in used:
                    continue
                if failing := self._noticed(newer, mutation, _MOST_FAILING):
                    used.add((mutation.path, mutation.function))
                    yield self._bug(RELEASE, newer, mutation, failing, older=older.version)

    def _bug(self, origin: str, source: Source, mutation: Mutation, failing: int, **more: Any) -> Bug:
        name = f"{source.name}-{source.version}:{mutation.function}" + ("~" if origin == RELEASE else "")
        bug = {"id": name, "origin": origin, "package": source.name, "version": source.version}
        return {**bug, "failing": failing, **more, **dataclasses.asdict(mutation)}

    def _usable(self, source: Source) -> bool:
        """Whether the unbroken release passes its own tests here, in a short time."""
        key = f"{source.name}-{source.version}"
        if key not in self.sound:
            report = run_tests(release_folder(self.scratch, source), None, "", source.test_command, 120)
            good = report.ok and report.passed > 0 and report.seconds <= _MOST_SECONDS
            self.sound[key] = (report.passed, round(report.seconds, 1)) if good else None
            if not good:
                note(f"{key} is left out: {report.text(0)[:200]}")
        return self.sound[key] is not None

    def _noticed(self, source: Source, mutation: Mutation, share: float) -> int:
        """How many tests fail with the function broken; 0 when none, too many, or the run is not to be judged."""
        folder = release_folder(self.scratch, source)
        kept = self.sound[f"{source.name}-{source.version}"]
        assert kept is not None
        passed, seconds = kept
        file = folder / mutation.path
        content = file.read_bytes()
        mutation.apply(folder)
        try:
            report = run_tests(folder, None, "", source.test_command, max(20.0, seconds * 6))
        finally:
            file.write_bytes(content)
        counted = report.counted and report.ended == "exit" and not report.errors and report.passed
        return report.failed if counted and report.failed <= share * passed else 0
