"""``python -m benchmarks.library.encode``: how fast the embedded embedder is, and what 8 bits cost it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.output import emit, machine, note, rounded, table
from mainspring.library.embed import graph
from mainspring.library.embed.e5 import E5Embedder, processors
from mainspring.library.embed.encoder import Encoder
from mainspring.library.embed.packed import Packed
from mainspring.library.embed.prepared import Files, prepare
from mainspring.library.embed.questions import QUESTIONS
from mainspring.library.embed.text import Stretch, unit

PAGE_TOKENS = 488
_FIRST = (
    "import re, sys, time; start = time.perf_counter()\n"
    "from mainspring.library.embed import open_embedder\n"
    "open_embedder().queries(['when does the contract end?'])\n"
    "wall, cpu = time.perf_counter() - start, time.process_time()\n"
    "found = re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())\n"
    "print(wall, cpu, int(found[1]) / 1024 if found else 0, file=sys.stderr)\n"
)


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.library.encode", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the object (it always is)")
    parser.add_argument("--quick", action="store_true", help="fewer pages and questions")
    quick = parser.parse_args().quick
    files = prepare()
    pages, rounds = (4, 1) if quick else (24, 3)
    result: dict[str, Any] = {"page_tokens": PAGE_TOKENS, "pages": pages}
    note("questions")
    with_one = E5Embedder(files, threads=1)
    result |= _questions(with_one, 40 if quick else 160)
    text = page(with_one)
    note("pages")
    result["threads"] = {}
    for threads in sorted({1, 2, processors()}):
        result["threads"][str(threads)] = _pages(files, threads, [text] * pages, rounds)
    note("questions while pages are encoded")
    result["query_ms_under_load"] = _under_load(files, [text] * pages)
    note("what 8 bits cost")
    result |= _cosines(files, with_one, 6 if quick else 40)
    note("start")
    result |= _start(1 if quick else 5)
    result["bytes"] = {path.name.rpartition(".")[2]: path.stat().st_size for path in (files.weights, *files.made)}
    result["versions"] = {name: version(name) for name in ("onnxruntime", "numpy", "onnx")}
    result["machine"] = machine(files.graph.parent)
    _print(result)
    emit(result)


def page(embedder: E5Embedder) -> str:
    """A page of `PAGE_TOKENS` tokens: the beginning of this project's licence."""
    text = (Path(__file__).parents[2] / "LICENSE").read_text("utf-8")
    spans = embedder._text._tokenizer(text).spans
    return text[: spans[PAGE_TOKENS - 1][1]]


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds; the CPU is that of all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _questions(embedder: E5Embedder, count: int) -> dict[str, Any]:
    texts = [text for pair in zip(QUESTIONS["en"], QUESTIONS["zh"], strict=True) for text in pair]
    for text in texts[:6]:
        embedder.queries([text])
    chosen = [texts[number % len(texts)] for number in range(count)]
    times = [_timed(partial(embedder.queries, [text])) for text in chosen]
    wall, cpu = ([one * 1000 for one in column] for column in zip(*times, strict=True))
    return {"query_ms": rounded(median(wall)), "query_p95_ms": _p95(wall), "query_cpu_ms": rounded(median(cpu))}


def _p95(values: list[float]) -> float | None:
    return rounded(quantiles(values, n=20)[-1])


def _pages(files: Files, threads: int, texts: list[str], rounds: int) -> dict[str, Any]:
    embedder = E5Embedder(files, threads=threads)
    embedder.documents(texts[:threads])
    times = [_timed(lambda: embedder.documents(texts)) for _ in range(rounds)]
    embedder.close()
    wall, cpu = (median(column) for column in zip(*times, strict=True))
    return {
        "pages_per_s": rounded(len(texts) / wall),
        "cpu_ms_per_page": rounded(1000 * cpu / len(texts)),
        "cores_used": rounded(cpu / wall, 3),
    }


def _under_load(files: Files, texts: list[str]) -> float | None:
    """Median milliseconds of a question while all threads encode pages."""
    embedder = E5Embedder(files)
    ended = threading.Event()

    def load() -> None:
        while not ended.is_set():
            embedder.documents(texts[:8])

    busy = threading.Thread(target=load)
    busy.start()
    time.sleep(0.3)
    times = [_timed(lambda: embedder.queries(["when does the contract end?"]))[0] * 1000 for _ in range(20)]
    ended.set()
    busy.join()
    embedder.close()
    return rounded(median(times))


def _cosines(files: Files, embedder: E5Embedder, count: int) -> dict[str, Any]:
    """How close 8 bits are to float32 on windows of English, Chinese and ten other languages."""
    import numpy as np

    packed = Packed(files.weights)
    eight = embedder._text
    exact = type(eight)(eight._tokenizer, Encoder(packed, graph.build(packed, quantised=False), 0, 2))
    licence = (Path(__file__).parents[2] / "LICENSE").read_text("utf-8")
    stretches = eight.cut(licence).stretches[: count // 2]
    for language in sorted(QUESTIONS):
        stretches += eight.cut(" ".join(QUESTIONS[language])).stretches[:2]
    stretches = [Stretch(one.ids, list(range(len(one.ids))), 1) for one in stretches[:count]]
    pairs = [(eight.rows("document", one), exact.rows("document", one)) for one in stretches]
    tokens = np.concatenate([(a * b).sum(1) for a, b in pairs])
    whole = [float(a @ b) for a, b in ((unit(a.sum(0)[None])[0], unit(b.sum(0)[None])[0]) for a, b in pairs)]
    return {
        "cosine_to_float": {
            "windows": len(stretches),
            "tokens": len(tokens),
            "mean": rounded(float(tokens.mean()), 5),
            "p01": rounded(float(np.quantile(tokens, 0.01)), 5),
            "least": rounded(float(tokens.min()), 5),
            "pooled_mean": rounded(float(np.mean(whole)), 5),
            "pooled_least": rounded(min(whole), 5),
        }
    }


def _start(count: int) -> dict[str, Any]:
    """Seconds from the first import to the first question's vectors, in a fresh process; imports are compiled once."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    times = []
    for _ in range(count + 1):
        done = subprocess.run([sys.executable, "-c", _FIRST], env=env, capture_output=True, text=True, check=True)
        times.append([float(one) for one in done.stderr.split()[-3:]])
    wall, cpu, resident = (median(column) for column in zip(*times[1:], strict=True))
    return {"first_query_s": rounded(wall), "first_query_cpu_s": rounded(cpu), "first_query_mb": round(resident)}


def _print(result: dict[str, Any]) -> None:
    rows = [
        (f"{threads} thread(s)", one["pages_per_s"], one["cpu_ms_per_page"], one["cores_used"])
        for threads, one in result["threads"].items()
    ]
    print(table((f"page of {PAGE_TOKENS} tokens", "pages/s", "CPU ms a page", "cores used"), rows))
    cosine = result["cosine_to_float"]
    print(
        f"\na question: {result['query_ms']} ms (CPU {result['query_cpu_ms']}), "
        f"while pages are encoded {result['query_ms_under_load']} ms"
        f"\nfirst question of a process: {result['first_query_s']} s (CPU {result['first_query_cpu_s']}), "
        f"{result['first_query_mb']} MB"
        f"\ncosine of 8 bits with float32, a token: mean {cosine['mean']}, least {cosine['least']}"
    )


if __name__ == "__main__":
    main()
