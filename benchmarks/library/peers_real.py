"""Runs in a peer's own environment: searches the pages of a folder with it, and writes what it found.

Called as ``python peers_real.py SYSTEM FOLDER``; reads ``given.json``, ``vectors.npy`` and ``queries.npy``.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def bm25s_lucene(folder, given):
    """bm25s with Lucene's formula over the words that ours uses (pairs of characters in Chinese), single ones too."""
    import bm25s

    words = [list(page) for page in given["words"]]
    index = bm25s.BM25(method="lucene")
    index.index(words, show_progress=False)
    held = set(index.vocab_dict)

    def search(number):
        terms = [term for term in given["terms"][number] if term in held]
        if not terms:
            return []
        scores = index.get_scores(terms)
        order = (-scores).argsort(kind="stable")[: given["depth"]]
        return [int(place) for place in order if scores[place] > 0]

    return search


def lancedb_hybrid(folder, given):
    """LanceDB: its full-text index cut by ICU, the same dense vectors searched flat, its reciprocal rank fusion."""
    table, queries, reranker = _lancedb(folder, given)

    def search(number):
        query = table.search(query_type="hybrid").vector(queries[number]).text(given["queries"][number])
        rows = query.distance_type("cosine").rerank(reranker).limit(given["depth"]).to_list()
        return [row["place"] for row in rows]

    return search


def lancedb_fts(folder, given):
    """LanceDB's full-text search alone."""
    table, _, _ = _lancedb(folder, given)

    def search(number):
        rows = table.search(given["queries"][number], query_type="fts").limit(given["depth"]).to_list()
        return [row["place"] for row in rows]

    return search


def _lancedb(folder, given):
    import lancedb
    import numpy as np
    from lancedb.rerankers import RRFReranker

    vectors = np.load(folder / "vectors.npy")
    rows = [
        {"place": n, "text": text, "vector": vector}
        for n, (text, vector) in enumerate(zip(given["texts"], vectors, strict=True))
    ]
    table = lancedb.connect(folder / "lance").create_table("pages", rows)
    # "icu" cuts Chinese by a dictionary; the default does not cut it at all.
    table.create_fts_index("text", base_tokenizer="icu", stem=False, remove_stop_words=False)
    return table, np.load(folder / "queries.npy"), RRFReranker()


SYSTEMS = {"bm25s": bm25s_lucene, "lancedb_hybrid": lancedb_hybrid, "lancedb_fts": lancedb_fts}


def main(system, folder):
    given = json.loads((folder / "given.json").read_text())
    search = SYSTEMS[system](folder, given)
    search(0)
    rankings, times = [], []
    for number in range(len(given["queries"])):
        began = time.perf_counter()
        rankings.append(search(number))
        times.append((time.perf_counter() - began) * 1000)
    (folder / "answer.json").write_text(json.dumps({"rankings": rankings, "times_ms": times}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
