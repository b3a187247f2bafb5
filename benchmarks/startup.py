"""``python -m benchmarks.startup``: CPU that an import and ``mainspring --version`` cost, in fresh processes.

Each figure is the user and system CPU of a whole process, as the kernel counts it, less that of the same
interpreter doing nothing, so that the interpreter's own start flatters nobody's ratio. The commands take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.output import emit, machine, note, rounded, table
from benchmarks.peers.environment import PEERS, QUIET, cache_folder, ensure

OURS = "from mainspring import Agent, tool, Run, Policy"
STDLIB = "import asyncio, sqlite3, json"


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the object (it always is)")
    parser.add_argument("--peers", action="store_true", help="measure the others too, in turn with ours")
    parser.add_argument("--quick", action="store_true", help="3 rounds instead of 25")
    parser.add_argument("--rounds", type=int, help="fresh processes for each command")
    options = parser.parse_args()
    rounds = options.rounds or (3 if options.quick else 25)

    here = sys.executable
    script = Path(here).with_name("mainspring")
    version = [str(script)] if script.exists() else [here, "-m", "mainspring.cli"]
    commands = {
        "bare": [here, "-c", "pass"],
        "stdlib": [here, "-c", STDLIB],
        "mainspring": [here, "-c", OURS],
        "version": [*version, "--version"],
    }
    if options.peers:
        for peer in PEERS:
            python = str(ensure(peer))
            commands[f"bare {peer.name}"] = [python, "-c", "pass"]
            commands[peer.name] = [python, "-c", peer.imports]
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="startup-") as scratch:
        seconds = _measure(commands, rounds, Path(scratch))
        result = _figures(seconds, [p.name for p in PEERS] if options.peers else [])
        result |= {"rounds": rounds, "skipped": [] if options.peers else ["peers (pass --peers)"]}
        result["machine"] = machine(Path(scratch))
    _print(result)
    emit(result)


def _measure(commands: dict[str, list[str]], rounds: int, scratch: Path) -> dict[str, list[float]]:
    environment = {**os.environ, **QUIET}
    environment.pop("PYTHONPATH", None)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    names = list(commands)
    for number in range(rounds + 1):
        note(f"round {number} of {rounds}" if number else "one round to write bytecode, not counted")
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            spent = _cpu_seconds(commands[name], environment, scratch)
            if number:
                seconds[name].append(spent)
    return seconds


def _cpu_seconds(command: list[str], environment: dict[str, str], scratch: Path) -> float:
    log = scratch / "output"
    child = os.fork()
    if child == 0:
        try:
            os.chdir(scratch)
            out = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(out, 1)
            os.dup2(out, 2)
            os.execve(command[0], command, environment)
        finally:
            os._exit(127)
    _, status, usage = os.wait4(child, 0)
    if status:
        told = log.read_text(errors="replace")[-1_000:]
        raise SystemExit(f"{' '.join(command)} ended with status {os.waitstatus_to_exitcode(status)}:\n{told}")
    return usage.ru_utime + usage.ru_stime


def _figures(seconds: dict[str, list[float]], peers: list[str]) -> dict[str, Any]:
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    ours = middle["mainspring"] - middle["bare"]
    stdlib = middle["stdlib"] - middle["bare"]
    version = middle["version"] - middle["bare"]
    return {
        "import_cpu_s": rounded(ours),
        "stdlib_cpu_s": rounded(stdlib),
        "import_over_stdlib": rounded(ours / stdlib),
        "version_cpu_s": rounded(version),
        "version_over_stdlib": rounded(version / stdlib),
        "interpreter_cpu_s": rounded(middle["bare"]),
        "whole_process_over_stdlib": {
            "import": rounded(middle["mainspring"] / middle["stdlib"]),
            "version": rounded(middle["version"] / middle["stdlib"]),
        },
        "peers": {
            name: {
                "import_cpu_s": rounded(middle[name] - middle[f"bare {name}"]),
                "over_mainspring": rounded((middle[name] - middle[f"bare {name}"]) / ours),
            }
            for name in peers
        },
    }


def _print(result: dict[str, Any]) -> None:
    stdlib = result["stdlib_cpu_s"]
    rows: list[list[object]] = [
        [STDLIB, stdlib, 1.0],
        [OURS, result["import_cpu_s"], result["import_over_stdlib"]],
        ["mainspring --version", result["version_cpu_s"], result["version_over_stdlib"]],
    ]
    for name, figures in result["peers"].items():
        rows.append([name, figures["import_cpu_s"], figures["import_cpu_s"] / stdlib])
    bare = result["interpreter_cpu_s"]
    print(f"CPU seconds of a fresh process, less the interpreter's own {bare:.3f}: median of {result['rounds']}\n")
    print(table(["import", "CPU s", "over stdlib"], rows))
    print()


if __name__ == "__main__":
    main()
