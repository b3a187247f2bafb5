"""``python -m benchmarks.context``: prompt bytes that repeat, the fixed prompt's size, and facts that are kept.

A scripted model works for 300 steps on a generated package with the five coding tools: real files, real commands,
real tests, in a window of the usual 128,000 tokens, which is too small for all that it reads. On the way a
person denies a call, settles two calls in doubt and adds instructions. Every prompt is written down as a provider
would receive it and compared with the one before.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.context import facts, workspace
from benchmarks.context.tokens import Tokenizer, open_tokenizer
from benchmarks.context.worker import Record, Worker
from benchmarks.output import emit, machine, note, rounded, table
from benchmarks.peers.environment import cache_folder
from mainspring import Agent, Policy, Run, tool
from mainspring.cli.origin import CODING
from mainspring.tools import coding_tools

WINDOW = 128_000


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.context", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the object (it always is)")
    parser.add_argument("--peers", action="store_true", help="accepted; there is nothing to compare with here")
    parser.add_argument("--quick", action="store_true", help="70 steps in a window of 24,000 tokens")
    parser.add_argument("--steps", type=int, help="steps of the run (300; quick: 70)")
    parser.add_argument("--window", type=int, help="the model's window in tokens (128,000; quick: 24,000)")
    parser.add_argument("--gguf", type=Path, help="weights whose tokenizer counts; the cached ones by default")
    options = parser.parse_args()
    steps = options.steps or (70 if options.quick else 300)
    window = options.window or (24_000 if options.quick else WINDOW)
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="context-") as scratch:
        started = time.perf_counter()
        run, worker = work(Path(scratch), steps, window)
        seconds = time.perf_counter() - started
        note("counting tokens")
        result = figures(run, worker.record, open_tokenizer(options.gguf))
        result |= {"steps": steps, "window_tokens": window, "seconds": rounded(seconds), "skipped": []}
        result["machine"] = machine(Path(scratch))
    _print(result)
    emit(result)


def work(scratch: Path, steps: int, window: int) -> tuple[Run, Worker]:
    """Do the whole run, with a person's part in it; raises RuntimeError when it ends in another way than planned."""
    folder = scratch / "workspace"
    workspace.build(folder)
    worker = Worker(steps, _Plan())
    worker.context_window = window
    worker.record.known += [*facts.RULES, *facts.TASK]
    agent = Agent(
        "coder",
        model=worker,
        instructions="\n".join([CODING, *facts.RULES]),
        tools=[*coding_tools(), publish, order_parcel, call_supplier],
        policy=Policy(allow=["order_parcel", "call_supplier"]),
        limits={"steps": None, "tool_failures": None, "repeats": None},
    )
    task = "Find and mend the rounding bug of the shop. " + " ".join(facts.TASK)

    def watch(event: Any) -> None:
        if event.kind == "context.compacted":
            worker.record.compacted()
            note(f"compaction {worker.record.compactions} before step {worker.step + 1}")

    note(f"{steps} steps over {workspace.MODULES} modules")
    run = agent.run_sync(task, workspace=folder, home=scratch / "home", on_event=watch)
    known = worker.record.known
    for kind in ("approval", "doubt", "doubt"):
        pending = [p for p in run.pending() if p.kind == kind]
        if len(pending) != 1:
            raise RuntimeError(f"expected one {kind} and the run is {run.status}: {run.reason} {run.output}")
        fact = _answer(pending[0])
        known.append(fact)
        if pending[0].tool == "order_parcel":
            for said in facts.SAID:
                run.send(said, by="ann")
            known += facts.SAID
        run.resume_sync(agent, on_event=watch)
    if run.status != "done":
        raise RuntimeError(f"the run ended {run.status}: {run.reason}")
    return run, worker


def _answer(pending: Any) -> str:
    if pending.kind == "approval":
        pending.deny(by="ann", reason=facts.DENIED)
        return facts.DENIED
    if pending.tool == "order_parcel":
        pending.settle("happened", by="ann", reason=facts.HAPPENED)
        return facts.HAPPENED
    pending.settle("abort", by="ann", reason=facts.UNKNOWN)
    return facts.UNKNOWN


@tool(effect="irreversible", authority=["branch"])
def publish(branch: str) -> str:
    """Publish a branch to customers."""
    raise AssertionError("a denied call was made")


@tool(effect="irreversible", authority=["order"], timeout_s=0.2)
def order_parcel(order: str) -> str:
    """Order a parcel from the carrier."""
    time.sleep(0.5)  # longer than its limit: nobody knows whether it went through
    return "ordered"


@tool(effect="irreversible", authority=["order"], timeout_s=0.2)
def call_supplier(order: str) -> str:
    """Tell the supplier."""
    time.sleep(0.5)
    return "told"


class _Plan:
    """Arguments of the coding tools; an edit has to know what the one before it left."""

    def __init__(self) -> None:
        self.edits: dict[int, int] = {}

    def __call__(self, name: str, module: int) -> dict[str, Any]:
        path = f"shop/module_{module:02d}.py"
        match name:
            case "search_codebase":
                return {"query": f"_{('order', 'tax', 'rate', 'price', 'refund')[module % 5]}(", "glob": "*.py"}
            case "read_file":
                return {"path": path}
            case "edit_file":
                before = self.edits.get(module, 0)
                self.edits[module] = before + 1
                return {"path": path, "old": _title(module, before), "new": _title(module, before + 1)}
            case "execute_tests":
                return {"target": f"tests/test_module_{module // 4 * 4:02d}.py"}
            case _:
                return {"command": f"wc -l shop/*.py && grep -n limit {path}"}


def _title(module: int, edits: int) -> str:
    return f'"""Part {module:02d} of the shop.' + (f" Looked through {edits} times." if edits else "") + '"""'


def figures(run: Run, record: Record, tokenizer: Tokenizer) -> dict[str, Any]:
    """The figures of a finished run."""
    coding = {t.name for t in coding_tools()}
    specs = [spec for spec in record.tools if spec.name in coding or spec.name in ("read_result", "note")]
    by_kind = {
        kind: {"planted": len(group), "kept": len(group) - len(facts.missing(group, record.last_text))}
        for kind, group in facts.planted().items()
    }
    return {
        "prefix_reuse": _share(record.repeated, record.compared),
        "previous_prompt_kept": _share(record.repeated, record.previous),
        "prefix_reuse_overall": _share(record.repeated_all, record.compared_all),
        "prefix_reuse_summaries": _share(record.repeated_summary, record.compared_summary),
        "fixed_prompt_tokens": tokenizer.prompt_tokens(CODING, specs),
        "five_tools_tokens": tokenizer.prompt_tokens("", [s for s in specs if s.name in coding]),
        "tokenizer": tokenizer.name,
        "compactions": record.compactions,
        "summary_calls": record.summaries,
        "kept_facts": sum(k["kept"] for k in by_kind.values()),
        "planted_facts": sum(k["planted"] for k in by_kind.values()),
        "facts": by_kind,
        "ever_forgotten": sorted(record.forgotten),
        "prompt_bytes": record.compared_all,
        "largest_prompt_bytes": record.largest_prompt,
        "model_calls": record.calls + record.summaries,
        "run_status": run.status,
    }


def _share(part: int, whole: int) -> float | None:
    return rounded(part / whole, 5) if whole else None


def _print(result: dict[str, Any]) -> None:
    print(f"{result['steps']} steps, {result['model_calls']} model calls, {result['compactions']} compactions\n")
    names = ["prefix_reuse", "previous_prompt_kept", "prefix_reuse_overall", "prefix_reuse_summaries"]
    names += ["fixed_prompt_tokens", "five_tools_tokens", "kept_facts", "planted_facts", "largest_prompt_bytes"]
    print(table(["figure", "value"], [[name, result[name]] for name in names]))
    print(f"\ntokens counted by {result['tokenizer']}")
    print(table(["facts", "planted", "kept"], [[k, v["planted"], v["kept"]] for k, v in result["facts"].items()]))
    print()


if __name__ == "__main__":
    main()
