"""A process of its own that indexes a tree, edits files of it one by one and maps it: times and peak memory."""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from pathlib import Path

from mainspring.code.index import CodeIndex
from mainspring.code.repomap import repo_map

_EDITS = 15


def main() -> None:
    """Print the figures of the tree (first argument) with the index in a home (second)."""
    root, home, task, test = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
    began = time.perf_counter()
    index = CodeIndex.open(root, home)
    refresh = index.refresh()
    index_s = time.perf_counter() - began
    files = index.files()
    lines = sum((root / path).read_bytes().count(b"\n") for path in files)
    began = time.perf_counter()
    repo_map(index, 8_000, task, [test])
    first_map_ms = (time.perf_counter() - began) * 1000
    updates, maps = [], []
    # Files of every size, from the whole list; each edit adds a function that another file's test could call.
    for number, path in enumerate(files[:: max(1, len(files) // _EDITS)][:_EDITS]):
        if not path.endswith(".py"):
            continue
        file = root / path
        old = file.read_bytes()
        file.write_bytes(old + b"\n\ndef added_%d(value):\n    return str(value)\n" % number)
        began = time.perf_counter()
        changed = index.update([path])
        updates.append((time.perf_counter() - began) * 1000)
        assert changed == 1, path
        began = time.perf_counter()
        repo_map(index, 8_000, task, [test])
        maps.append((time.perf_counter() - began) * 1000)
        file.write_bytes(old)
        index.update([path])
    began = time.perf_counter()
    CodeIndex.open(root, home).refresh()
    figures = {
        "index_s": index_s,
        "reopen_s": time.perf_counter() - began,
        "update_ms": statistics.median(updates),
        "update_ms_worst": max(updates),
        "map_ms": statistics.median(maps),
        "first_map_ms": first_map_ms,
        "edits": len(updates),
        "files": refresh.files,
        "symbols": refresh.symbols,
        "references": refresh.references,
        "lines": lines,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
