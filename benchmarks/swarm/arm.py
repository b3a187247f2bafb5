"""Command line of one system's child process in the swarm benchmark, and the clock that times it.

Imports nothing but the standard library, because it runs inside each peer's own environment.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import time
import urllib.request
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

from benchmarks.swarm.draws import WARM_UP, Size, expected


@dataclass(frozen=True, slots=True)
class Job:
    """What one process has to do.

    Args:
        url: of the model server, with ``/v1``.
        parts: numbers of the parts.
        folder: for what the system keeps on disk.
        at_once: most parts at the same time; None means all.
        paced: whether the system may be told the server's rate, where it can hold to one.
    """

    url: str
    size: Size
    parts: Sequence[int]
    folder: Path
    at_once: int | None = None
    paced: bool = False


#: Does a job and returns the answers, part by part; what failed is its words.
Work: TypeAlias = Callable[[Job], Awaitable[dict[int, str]]]


def peak_mb() -> float:
    """Most memory that this process has had resident, in MB (2^20 bytes)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(packages: list[str], work: Work) -> None:
    """Do a job between two stamps, after a warm-up of one part that costs the server nothing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--size", type=Size.decode, required=True)
    parser.add_argument("--parts", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--at-once", type=int)
    parser.add_argument("--paced", action="store_true")
    options = parser.parse_args()
    asyncio.run(_measure(packages, work, options))


async def _measure(packages: list[str], work: Work, options: argparse.Namespace) -> None:
    size: Size = options.size
    # Imports, tables and clients are made here, as a program that works all day has them; everybody does it.
    await work(Job(options.url, size, [WARM_UP], options.folder))
    urllib.request.urlopen(options.url.removesuffix("/v1") + "/reset", data=b"").read()  # noqa: ASYNC210
    job = Job(options.url, size, range(options.parts), options.folder, options.at_once, options.paced)
    cpu, started = time.process_time(), time.perf_counter()
    failed = ""
    try:
        answers = await work(job)
    except Exception as error:
        answers, failed = {}, f"{type(error).__name__}: {error}"
    report = {
        "seconds": time.perf_counter() - started,
        "cpu_s": time.process_time() - cpu,
        "peak_mb": peak_mb(),
        "right": sum(1 for part in job.parts if answers.get(part) == expected(size, part)),
        "wrong": {
            part: answers.get(part, failed)[:200] for part in job.parts if answers.get(part) != expected(size, part)
        },
        "versions": {name: version(name) for name in packages},
    }
    options.report.write_text(json.dumps(report))
