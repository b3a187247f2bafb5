"""Queries that follow from the documents' structure: titles, names, captions. A seed draws them.

- ``keyword``: a title of an outline or of a file, as people type it: without its number, in small letters. Only titles
  that stand once in the side, of 2 to 7 words or 3 to 16 Chinese characters. Relevant is the section.
- ``identifier``: an option, a path, a command or a dotted or underscored name that stands on 1 to 3 pages of the PDFs
  of the side and in none of its other documents. Those pages are relevant, with grade 2 where it stands most often.
- ``table``, ``figure``: the first sentence of a caption, without "Table 3:". Relevant is its page.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence

from benchmarks.library.asked import Query, Target, language
from benchmarks.library.build import Made, normalised

SEED = 20_261
#: How many of each kind a side has at most: test, tune.
MOST = {
    "keyword": {"test": 28, "tune": 16},
    "identifier": {"test": 24, "tune": 14},
    "table": {"test": 14, "tune": 12},
    "figure": {"test": 8, "tune": 8},
}
_NUMBER = re.compile(r"^(?:第.{1,3}章|[A-Z]?\d+(?:\.\d+)*\.?|[A-Z]\.\d+|[A-Z])\s+")
_CAPTION = re.compile(
    r"^\s*(?P<word>Table|Figure|表|图)\s*(?P<number>\d++(?:\.\d++)*)\s*(?P<stop>[:：.])\s*(?P<text>\S.+)$", re.M
)
_NAME = re.compile(
    r"(?<![\w/\\.:-])(?:--[a-z][a-z-]{4,}|/(?:etc|usr|var|srv|boot|skole)/[\w./-]{4,}\w|\\[a-zA-Z]{6,}"
    r"|[a-zA-Z]{2,}(?:_[a-zA-Z]+)+(?:\.[a-z]+)?)(?![\w/-])"
)
_SENTENCE = re.compile(r"[.。;；]\s|[.。;；]$|（| \(")


def derived(side: str, made: Sequence[Made]) -> list[Query]:
    """The derived queries of one side, the same for the same documents."""
    drawn = random.Random(f"{SEED}/{side}")
    captions = _captions(made)
    kinds = {
        "keyword": _keywords(made),
        "identifier": _identifiers(made),
        "table": [query for query in captions if query.kind == "table"],
        "figure": [query for query in captions if query.kind == "figure"],
    }
    return [query for kind, found in kinds.items() for query in _spread(found, MOST[kind][side], drawn)]


def _spread(queries: list[Query], most: int, drawn: random.Random) -> list[Query]:
    """Some of them, as evenly from the documents as can be; the files of a web site are one."""
    by_document: dict[str, list[Query]] = {}
    for query in drawn.sample(queries, len(queries)):
        document = query.targets[0].document
        by_document.setdefault(document if document.endswith(".pdf") else document.split("-")[0], []).append(query)
    waiting = [by_document[name] for name in sorted(by_document)]
    taken: list[Query] = []
    while waiting and len(taken) < most:
        for queue in waiting:
            if len(taken) < most:
                taken.append(queue.pop())
        waiting = [queue for queue in waiting if queue]
    return taken


def _keywords(made: Sequence[Made]) -> list[Query]:
    titles = [(one, entry.title, entry.page) for one in made for entry in one.outline]
    times = Counter(normalised(_NUMBER.sub("", title)) for _, title, _ in titles)
    found = []
    for one, title, page in titles:
        typed = " ".join(_NUMBER.sub("", title).lower().rstrip("?？").split())
        long = len(normalised(typed)) if language(typed) == "zh" else len(typed.split())
        few, many = (3, 16) if language(typed) == "zh" else (2, 7)
        if times[normalised(_NUMBER.sub("", title))] == 1 and few <= long <= many and not one.piece.scan:
            found.append(Query(typed, "keyword", language(typed), (Target(one.piece.name, title, page, 2.0),)))
    return found


def _identifiers(made: Sequence[Made]) -> list[Query]:
    pages: dict[str, Counter[tuple[str, int]]] = {}
    elsewhere: set[str] = set()
    for one in made:
        readable = one.piece.name.endswith(".pdf") and not one.piece.scan
        for number, text in enumerate(one.texts, 1):
            for name in _NAME.findall(text):
                if readable:
                    pages.setdefault(name, Counter())[one.piece.name, number] += 1
                else:
                    elsewhere.add(name)
    found = []
    for name, stands in sorted(pages.items()):
        if name in elsewhere or len(stands) > 3 or _inside(name, pages):
            continue
        most = max(stands.values())
        targets = [
            Target(document, name, page, 2.0 if times == most else 1.0)
            for (document, page), times in sorted(stands.items())
        ]
        found.append(Query(name, "identifier", "en", tuple(targets)))
    return found


def _inside(name: str, names: dict[str, Counter[tuple[str, int]]]) -> bool:
    """True for a name that is a part of another: its pages cannot be told from the other's."""
    return any(name != other and name in other for other in names)


def _captions(made: Sequence[Made]) -> list[Query]:
    found: list[Query] = []
    for one in made:
        for number, text in enumerate(one.texts, 1):
            page = number if one.piece.name.endswith(".pdf") else 0
            for caption in _CAPTION.finditer(text):
                if caption["stop"] == "." and page:
                    continue  # a sentence that begins with "Figure 1."
                said = _SENTENCE.split(caption["text"])[0].strip()
                short = len(normalised(said)) < (4 if language(said) == "zh" else 10)
                if short or _CAPTION.search("\n" + said) or "图 " in said or "表 " in said:
                    continue
                kind = "table" if caption["word"] in ("Table", "表") else "figure"
                query = " ".join(said.split()[:14])
                found.append(Query(query, kind, language(said), (Target(one.piece.name, said, page, 2.0),)))
    times = Counter(normalised(query.text) for query in found)
    return [query for query in found if times[normalised(query.text)] == 1]
