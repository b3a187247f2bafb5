"""``python -m benchmarks.repo_map``: recall of the files that known changes touched, and what the index costs."""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.output import emit, machine, note, rounded, table
from benchmarks.peers.environment import cache_folder
from benchmarks.repo_map.changes import Case, cases, read
from benchmarks.repo_map.counting import counter
from benchmarks.repo_map.measure import BUDGETS, Scores, ours, recall
from benchmarks.repo_map.packages import PACKAGES, QUICK, TIMED, Package
from benchmarks.repo_map.peer import VERSION, Aider
from benchmarks.repo_map.worktree import Worktree
from mainspring.code.index import CodeIndex

ROOT = Path(__file__).resolve().parents[2]


class Run:
    """The scores of both systems, case by case, in turn."""

    def __init__(self, scratch: Path, peers: bool) -> None:
        self.scratch, self.peers = scratch, peers
        self.count = counter()
        self.ours, self.aider, self.aider_mentioned = Scores(), Scores(), Scores()
        #: Our recall if our larger map were cut to as many files as the peer's map of the same budget shows.
        self.at_same_files: dict[int, list[float]] = {budget: [] for budget in BUDGETS}
        self.half_of_same: list[str] = []

    def package(self, package: Package, most: int | None) -> None:
        """All cases of a package."""
        tree = Worktree(self.scratch / package.name)
        with contextlib.ExitStack() as stack:
            peer = stack.enter_context(Aider(tree.root)) if self.peers else None
            index = CodeIndex.open(tree.root, self.scratch / f"home-{package.name}")
            stack.callback(index.close)
            after = None
            for old, new in package.steps()[:most]:
                before = after[1] if after is not None and after[0] == old else read(package, old)
                after = (new, read(package, new))
                found = cases(package, old, new, before, after[1])
                paths = tree.move(before, old)
                if not found:
                    note(f"{package.name} {old} to {new}: too large a change, or none")
                    continue
                index.refresh()
                if peer is not None:
                    peer.scan(paths)
                for case in found:
                    self._case(package, case, index, peer, paths)

    def _case(self, package: Package, case: Case, index: CodeIndex, peer: Aider | None, paths: list[str]) -> None:
        known = set(paths)
        maps, seconds, order = ours(index, case, self.count)
        self.ours.add(case, package.half, maps, known, seconds)
        told = f"{package.name} {case.old} to {case.new}, {case.kind}: {_found(self.ours)}"
        if peer is not None:
            for scores, chat in ((self.aider, True), (self.aider_mentioned, False)):
                answer = peer.maps(case.text, list(case.tests), list(BUDGETS), chat)
                texts = [(found["text"], found["tokens"]) for found in answer["maps"]]
                scores.add(case, package.half, texts, known, answer["seconds"])
                if not case.tests:
                    self.aider_mentioned.add(case, package.half, texts, known, answer["seconds"])
                    break
            self.half_of_same.append(package.half)
            for budget in BUDGETS:
                shown = self.aider.rows[-1][f"files_{budget}"]
                self.at_same_files[budget].append(recall(order[:shown], case.truth))
            told += f"; the peer {_found(self.aider)} (tests mentioned: {_found(self.aider_mentioned)})"
        note(told)


def _found(scores: Scores) -> str:
    row, seconds = scores.rows[-1], scores.seconds[-1]
    return (
        " and ".join(f"{row[f'recall_{b}']:.2f} in {row[f'files_{b}']} files" for b in BUDGETS) + f", {seconds:.1f} s"
    )


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.repo_map", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the object (it always is)")
    parser.add_argument("--peers", action="store_true", help="ask aider's repository map too, in turn with ours")
    parser.add_argument("--quick", action="store_true", help="two packages, two steps each")
    parser.add_argument("--packages", help="only these, with commas between them")
    options = parser.parse_args()
    wanted = set(options.packages.split(",")) if options.packages else set(QUICK) if options.quick else None
    chosen = [package for package in PACKAGES if wanted is None or package.name in wanted]
    if not chosen or (options.packages and wanted is not None and len(chosen) != len(wanted)):
        parser.error(f"--packages: choose among {', '.join(package.name for package in PACKAGES)}")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="repo-map-") as folder:
        run = Run(Path(folder), options.peers)
        timed = _timed(Path(folder), options.peers)
        for package in chosen:
            run.package(package, 2 if options.quick else None)
        result = _figures(run, timed, chosen)
        result["seconds"] = rounded(time.perf_counter() - began)
        result["machine"] = machine(Path(folder))
    _print(result)
    emit(result)


def _timed(scratch: Path, peers: bool) -> dict[str, Any]:
    """Times on one large package; both systems start from nothing and then see one edit."""
    name, version = TIMED
    (package,) = (package for package in PACKAGES if package.name == name)
    tree = Worktree(scratch / "timed")
    paths = tree.move(read(package, version), version)
    test = next(path for path in paths if path.endswith("model_fields/tests.py"))
    task = "A field's get_choices() repeats the blank choice"
    note(f"{name} {version}: indexing")
    command = [sys.executable, "-m", "benchmarks.repo_map.timed", str(tree.root), str(scratch / "home-timed")]
    done = subprocess.run([*command, task, test], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = {"package": f"{name} {version}", **json.loads(done.stdout.splitlines()[-1])}
    note(f"{name} {version}: {found['lines']:,} lines in {found['index_s']:.1f} s, an edit {found['update_ms']:.1f} ms")
    if peers:
        with Aider(tree.root) as peer:
            found["peer_index_s"] = peer.scan(paths)
            peer.maps(task, [test], [8_000])
            edited = tree.root / "django/utils/text.py"
            edited.write_bytes(edited.read_bytes() + b"\n\ndef added(value):\n    return str(value)\n")
            answer = peer.maps(task, [test], [8_000])
            found["peer_update_and_map_ms"] = answer["seconds"] * 1000
            found["peer_memory_mb"] = answer["peak_mb"]
        note(f"{name} {version}: the peer {found['peer_index_s']:.1f} s, a map {answer['seconds']:.1f} s")
    return found


def _figures(run: Run, timed: dict[str, Any], chosen: list[Package]) -> dict[str, Any]:
    # The figures that count are the held-out half's; a run of development packages only has no other.
    halves = {row["half"] for row in run.ours.rows}
    main_half = "held_out" if "held_out" in halves else "development"
    result = _half(run, main_half)
    for name in ("index_s", "update_ms", "map_ms", "lines", "memory_mb"):
        result[name] = rounded(timed[name])
    result["lines"] = timed["lines"]
    result["cases"] = len(run.ours.rows)
    result["figures_of"] = main_half
    result["halves"] = {half: _half(run, half) for half in sorted(halves)}
    result["kinds"] = {
        kind: {"cases": Counter(row["kind"] for row in run.ours.rows if row["half"] == main_half)[kind]}
        | recalls(run, half=main_half, kind=kind)
        for kind in sorted({row["kind"] for row in run.ours.rows if row["half"] == main_half})
    }
    result["packages"] = {
        package.name: {
            "half": package.half,
            "releases": [version for version, _ in package.releases],
            "cases": sum(row["package"] == package.name for row in run.ours.rows),
        }
        | recalls(run, package=package.name)
        for package in chosen
    }
    result["shown"] = {
        name: {f"files_{b}": rounded(scores.mean(f"files_{b}", half=main_half)) for b in BUDGETS}
        | {f"most_tokens_{b}": max(row[f"tokens_{b}"] for row in scores.rows) for b in BUDGETS}
        for name, scores in (("mainspring", run.ours), ("aider", run.aider))
        if scores.rows
    }
    result["map_s_a_case"] = rounded(statistics.median(run.ours.seconds))
    result["peer_map_s_a_case"] = rounded(statistics.median(run.aider.seconds)) if run.aider.rows else None
    result["timed"] = {key: rounded(value) if isinstance(value, float) else value for key, value in timed.items()}
    result["versions"] = {"aider-chat": VERSION if run.peers else None, "tokens": "cl100k_base"}
    result["skipped"] = [] if run.peers else ["peers (pass --peers)"]
    return result


def _half(run: Run, half: str) -> dict[str, Any]:
    found: dict[str, Any] = {"cases": sum(row["half"] == half for row in run.ours.rows), **recalls(run, half=half)}
    if run.peers:
        for budget in BUDGETS:
            values = [v for v, h in zip(run.at_same_files[budget], run.half_of_same, strict=True) if h == half]
            found[f"recall_{budget // 1000}k_in_as_many_files_as_peer"] = rounded(sum(values) / len(values))
    return found


def recalls(run: Run, **where: str) -> dict[str, Any]:
    """Recalls and their ratios; of the two ways to tell the peer about the tests, the one that serves it better."""
    found: dict[str, Any] = {}
    ratios: list[float] = []
    for budget in BUDGETS:
        name, short = f"recall_{budget}", f"{budget // 1000}k"
        mine = run.ours.mean(name, **where)
        found[f"recall_{short}"] = rounded(mine)
        if not run.peers:
            found[f"peer_recall_{short}"] = found[f"ratio_{short}"] = None
            continue
        ways = {"chat": run.aider.mean(name, **where), "mentioned": run.aider_mentioned.mean(name, **where)}
        best = max((value for value in ways.values() if value is not None), default=None)
        found[f"peer_recall_{short}"] = rounded(best)
        found[f"peer_{short}"] = {way: rounded(value) for way, value in ways.items()}
        ratio = mine / best if mine is not None and best else None
        found[f"ratio_{short}"] = rounded(ratio)
        ratios += [ratio] if ratio is not None else []
    found["recall_ratio"] = rounded(min(ratios)) if len(ratios) == len(BUDGETS) else None
    return found


def _print(result: dict[str, Any]) -> None:
    head = ["", "cases", "2k", "8k", "peer 2k", "peer 8k", "ratio 2k", "ratio 8k"]
    fields = ["cases", "recall_2k", "recall_8k", "peer_recall_2k", "peer_recall_8k", "ratio_2k", "ratio_8k"]
    rows = [(name, part) for key in ("halves", "kinds", "packages") for name, part in result[key].items()]
    print("Repository map: share of the files that a known change touched which the map shows\n")
    print(table(head, [[name, *(part[field] for field in fields)] for name, part in rows]))
    timed = result["timed"]
    print(
        f"\n{timed['package']}, {timed['lines']:,} lines: indexed in {timed['index_s']:.1f} s, an edit taken in "
        f"{timed['update_ms']:.1f} ms, a map of 8,000 tokens {timed['map_ms']:.0f} ms, {timed['memory_mb']:.0f} MB\n"
    )


if __name__ == "__main__":
    main()
