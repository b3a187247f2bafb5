"""Bugs put into real packages by a seeded mutator, mended by an agent: the plain loop against the repair harness.

    uv run python -m benchmarks.repair --model local --json

Both arms have the same model, the same package with the same broken line, the same sandbox and the same budget
of seconds and of tokens (those that the model reads anew or writes; what comes from its cache is not counted).

* *bare*: an ordinary agent with the coding tools and the task.
* *harness*: the same, carried by `mainspring.code.repair_agent`.

A bug is solved when the package's whole test suite, run by the benchmark itself in the sandbox, passes afterwards
and no test file was touched. False done: the run ended as done and the bug is not solved.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mainspring import Agent, Limits, Run
from mainspring.code import RepairPlanner, repair_agent
from mainspring.code.breaking.demo import break_one_line, whole_suite
from mainspring.code.breaking.mutate import Mutation
from mainspring.code.breaking.sdist import SOURCES, Source, fetch
from mainspring.code.repair.tracing import is_test_file
from mainspring.errors import MainspringError
from mainspring.models import resolve
from mainspring.tools import coding_tools

TASK = (
    "A change to one line broke this package. Run its tests with execute_tests, read the code that they blame, mend "
    "it with edit_file, and run the tests again, until all tests pass. Change no test."
)
MODELS = {"local": ("local:0.5b", "local:1.5b")}
ARMS = ("bare", "harness")


def main() -> int:
    """Parse the command line, run what is not yet in the results file, print the table and the object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="local", help="a model's name; 'local' means both embedded sizes")
    parser.add_argument("--bugs", type=int, default=10, help="how many bugs (default 10)")
    parser.add_argument("--seed", type=int, default=7, help="which lines are broken")
    parser.add_argument("--seconds-per-bug", type=float, default=150.0, help="time budget of one arm for one bug")
    parser.add_argument("--tokens-per-bug", type=int, default=6_000, help="token budget, cached ones not counted")
    parser.add_argument("--quick", action="store_true", help="3 bugs, 60 s each")
    parser.add_argument("--json", action="store_true", help="accepted for uniformity: the object is always printed")
    parser.add_argument("--resume", type=Path, help="results file: written as it goes, and gone on from when it exists")
    options = parser.parse_args()
    if options.quick:
        options.bugs, options.seconds_per_bug = min(options.bugs, 3), min(options.seconds_per_bug, 60.0)
    models = MODELS.get(options.model, (options.model,))
    book = Book(options.resume)
    with tempfile.TemporaryDirectory(prefix="mainspring-repair-") as scratch:
        bugs = make_bugs(Path(scratch), options.bugs, options.seed, book)
        for model in models:
            for number, bug in enumerate(bugs):
                for arm in ARMS:
                    if book.find(model, arm, bug) is None:
                        result = attempt(Path(scratch), model, arm, bug, options)
                        book.add({"model": model, "arm": arm, "bug": bug["id"], **result})
                    show_line(model, arm, number, bug, book.find(model, arm, bug))
    print_report(models, bugs, book, options)
    return 0


class Book:
    """Results so far, in a file if one is named, so that an interrupted benchmark can go on."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.bugs: dict[str, list[dict[str, Any]]] = {}
        self.results: list[dict[str, Any]] = []
        if path is not None and path.exists():
            kept = json.loads(path.read_text("utf-8"))
            self.bugs, self.results = kept["bugs"], kept["results"]

    def add(self, result: dict[str, Any]) -> None:
        """Note one result and write the file."""
        self.results.append(result)
        self.save()

    def save(self) -> None:
        """Write the file, if one is named."""
        if self.path is not None:
            partial = self.path.with_suffix(".partial")
            partial.write_text(json.dumps({"bugs": self.bugs, "results": self.results}, indent=1), "utf-8")
            partial.replace(self.path)

    def find(self, model: str, arm: str, bug: dict[str, Any]) -> dict[str, Any] | None:
        """The result of this model and arm for this bug, if there is one."""
        wanted = (model, arm, bug["id"])
        return next((r for r in self.results if (r["model"], r["arm"], r["bug"]) == wanted), None)


def make_bugs(scratch: Path, count: int, seed: int, book: Book) -> list[dict[str, Any]]:
    """`count` bugs, spread evenly over the packages, each in another function, each noticed by the tests."""
    key = f"{count}/{seed}"
    if key not in book.bugs:
        made: list[dict[str, Any]] = []
        turn = 0
        while len(made) < count:
            source = SOURCES[turn % len(SOURCES)]
            folder = scratch / f"break-{source.name}"
            if not folder.exists():
                fetch(source, folder)
            used = {(b["path"], b["function"]) for b in made if b["package"] == source.name}
            mutation = _another(folder, source, seed + turn // len(SOURCES), used)
            made.append({"id": f"{source.name}-{len(made)}", "package": source.name, **dataclasses.asdict(mutation)})
            print(f"bug {len(made)}: {source.name} {mutation.path}:{mutation.line} {mutation.function}", flush=True)
            print(f"    - {mutation.before.strip()}\n    + {mutation.after.strip()}", flush=True)
            turn += 1
        book.bugs[key] = made
        book.save()
    return book.bugs[key]


def _another(folder: Path, source: Source, seed: int, used: set[tuple[str, str]]) -> Mutation:
    for step in range(20):
        mutation, _ = break_one_line(folder, source.files(folder), source.test_command, seed * 1000 + step)
        mutation.revert(folder)
        if (mutation.path, mutation.function) not in used:
            return mutation
    raise MainspringError(f"no further function of {source.name} could be broken with seed {seed}")


def attempt(scratch: Path, model: str, arm: str, bug: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Break a fresh copy, let one arm work on it, and see with the hidden whole suite whether it is mended."""
    source = next(s for s in SOURCES if s.name == bug["package"])
    folder = Path(tempfile.mkdtemp(dir=scratch)) / source.name
    fetch(source, folder)
    mutation = Mutation(*(bug[f.name] for f in dataclasses.fields(Mutation)))
    mutation.apply(folder)
    tests = _test_digest(folder)
    agent = make_agent(model, arm, source, options)
    started = time.monotonic()
    run = agent.run_sync(TASK, workspace=folder, home=scratch / "home", run_id=None)
    seconds = time.monotonic() - started
    reason = run.reason or ""
    if run.status == "failed" and "no model answered" in reason and not re.search(r"gave up|budget of tokens", reason):
        raise MainspringError(f"{model} itself failed, which says nothing of the arm: {reason}")
    untouched = _test_digest(folder) == tests
    passed, _ = whole_suite(folder, source.test_command)
    solved = passed and untouched
    model_of = agent.models[0]
    # A planner that gives up in the middle of a step has spent more than the run's journal knows.
    usage = model_of.usage.get(run.id, run.usage) if isinstance(model_of, RepairPlanner) else run.usage
    shutil.rmtree(folder.parent, ignore_errors=True)
    return {
        "solved": solved,
        "status": run.status,
        "reason": reason[:300],
        "false_done": run.status == "done" and not solved,
        "tests_touched": not untouched,
        "tries": _edits(run),
        "steps": run.steps,
        "calls": usage.calls,
        "seconds": round(seconds, 1),
        "tokens": usage.tokens - usage.cache_read_tokens,
        "cached_tokens": usage.cache_read_tokens,
    }


def make_agent(model: str, arm: str, source: Source, options: argparse.Namespace) -> Agent:
    """The agent of one arm."""
    limit = {"seconds": options.seconds_per_bug * 1.2 + 20}
    if arm == "harness":
        return repair_agent(
            model,
            None,
            source.test_command,
            name=f"harness-{model}",
            tries=1000,
            seconds=options.seconds_per_bug,
            tokens=options.tokens_per_bug,
            limits=limit,
        )
    return Agent(
        f"bare-{model}",
        model=Metered(resolve(model), options.tokens_per_bug),
        instructions="You mend Python packages with the tools you have.",
        tools=coding_tools(test_command=source.test_command),
        limits=Limits.of({"seconds": options.seconds_per_bug, "steps": 200}),
        max_output_tokens=800,
    )


class Metered:
    """A model with a budget of tokens that are not read from the cache, as the harness has one."""

    def __init__(self, inner: Any, tokens: int) -> None:
        self.inner = inner
        self.name = inner.name
        self.left = tokens

    @property
    def context_window(self) -> int:
        """The inner model's."""
        return int(self.inner.context_window)

    async def respond(self, messages: Any, tools: Any, settings: Any) -> Any:
        """The inner model's answer, while there is budget left."""
        if self.left <= 0:
            from mainspring import ModelError

            raise ModelError("the budget of tokens is spent")
        answer = await self.inner.respond(messages, tools, settings)
        self.left -= answer.usage.tokens - answer.usage.cache_read_tokens
        return answer


def _edits(run: Run) -> int:
    """Edits of files that took place, taking back an earlier one not counted."""
    edits = [
        (e.payload["arguments"].get("old"), e.payload["arguments"].get("new"))
        for e in run.events()
        if e.kind == "effect.intended" and e.payload["tool"] == "edit_file"
    ]
    return sum(1 for i, (old, new) in enumerate(edits) if (new, old) not in edits[max(0, i - 1) : i])


def _test_digest(folder: Path) -> str:
    state = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and is_test_file(name) and "__pycache__" not in name:
            state.update(name.encode() + b"\0" + path.read_bytes())
    return state.hexdigest()


def show_line(model: str, arm: str, number: int, bug: dict[str, Any], result: dict[str, Any] | None) -> None:
    """One line of progress."""
    assert result is not None
    outcome = "solved" if result["solved"] else ("FALSE DONE" if result["false_done"] else "not solved")
    where = f"{bug['package']} {bug['function']} ({bug['kind']})"
    print(
        f"{model:11} {arm:8} {number + 1:3} {where:58} {outcome:11} {result['tries']:3} tries "
        f"{result['seconds']:6.1f} s {result['tokens']:6} tokens",
        flush=True,
    )


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums of one model and arm."""
    return {
        "bugs": len(results),
        "solved": sum(r["solved"] for r in results),
        "false_done": sum(r["false_done"] for r in results),
        "tries": sum(r["tries"] for r in results),
        "seconds": round(sum(r["seconds"] for r in results), 1),
        "tokens": sum(r["tokens"] for r in results),
    }


def print_report(models: tuple[str, ...], bugs: list[dict[str, Any]], book: Book, options: Any) -> None:
    """The table, then the object on the last line."""
    ids = {bug["id"] for bug in bugs}
    detail: dict[str, Any] = {}
    print(f"\n{'model':12} {'arm':8} {'solved':>8} {'false done':>11} {'tries':>6} {'seconds':>8} {'tokens':>8}")
    for model in models:
        detail[model] = {}
        for arm in ARMS:
            rows = [r for r in book.results if r["model"] == model and r["arm"] == arm and r["bug"] in ids]
            sums = detail[model][arm] = summary(rows)
            print(
                f"{model:12} {arm:8} {sums['solved']:>3} / {sums['bugs']:<2} {sums['false_done']:>11} "
                f"{sums['tries']:>6} {sums['seconds']:>8} {sums['tokens']:>8}"
            )
    best = models[-1]
    both = detail[best]
    answer = {
        "bugs": len(bugs),
        "bare_solved": both["bare"]["solved"],
        "harness_solved": both["harness"]["solved"],
        "swarm_solved": None,
        "false_done": both["harness"]["false_done"],
        "bare_false_done": both["bare"]["false_done"],
        "seconds": both["harness"]["seconds"],
        "tokens": both["harness"]["tokens"],
        "model": best,
        "models": detail,
        "functions": len({(b["package"], b["path"], b["function"]) for b in bugs}),
        "kinds": sorted({b["kind"] for b in bugs}),
        "sources": {s.name: s.version for s in SOURCES if any(b["package"] == s.name for b in bugs)},
        "seed": options.seed,
        "seconds_per_bug": options.seconds_per_bug,
        "tokens_per_bug": options.tokens_per_bug,
        "skipped": {"swarm_solved": "mending with several agents at once is not measured"},
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    sys.exit(main())
