"""Pages that were found, shown to a person or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.cli.output import Output
from mainspring.cli.render import cut, safe

if TYPE_CHECKING:
    from mainspring.library.page import Box, Hit, StoredPage


def as_json(hit: Hit, rank: int) -> dict[str, Any]:
    """A hit as a JSON object."""
    page = hit.page
    return {
        "rank": rank,
        "page": page.id,
        "document": page.document.id,
        "uri": page.document.uri,
        "number": page.page.number,
        "title": page.document.title,
        "heading": page.page.heading,
        "kind": page.document.kind,
        "language": page.language,
        "score": round(hit.score, 6),
        "ranks": dict(hit.ranks),
        "snippet": hit.snippet,
        "start": hit.start,
        "end": hit.end,
        "box": box_sides(hit.box),
        "begins_s": page.page.begins_s,
        "line": page.page.line,
        "changed_at": page.document.changed_at,
        "trusted": page.document.label.trusted,
        "label": page.document.label.encode(),
        "also": [{"page": p.id, "uri": p.document.uri, "number": p.page.number} for p in hit.also],
    }


def box_sides(box: Box | None) -> list[float] | None:
    """A box as [left, top, right, bottom], fractions of the page."""
    return None if box is None else [round(s, 4) for s in (box.left, box.top, box.right, box.bottom)]


def place(page: StoredPage) -> str:
    """Where a page is, on one safe line: its file with the page, line or moment."""
    at = page.page
    if at.begins_s is not None:
        where = f" at {int(at.begins_s) // 60}:{int(at.begins_s) % 60:02d}"
    elif at.line is not None:
        where = f":{at.line}"
    else:
        where = f"#{at.number}" if page.document.pages > 1 else ""
    return one(page.document.uri, 500) + where


def one(text: str, width: int) -> str:
    """A stranger's text on one line, harmless for terminals."""
    return cut(safe(" ".join(text[: 10 * width].split()), exact=True), width)


def print_hit(output: Output, hit: Hit, number: int, words: str) -> None:
    """A hit for a person: what and where it is, who may have written it, and the words that fit."""
    page = hit.page
    title, heading = page.document.title, page.page.heading
    heading = "" if heading == title else heading.removeprefix(f"{title} > ")  # most begin with their title
    output.text(f"{number}. {one(title, 100)}" + (f"  {one(heading, 80)}" if heading else ""))
    label = page.document.label
    facts = [place(page), page.document.kind, page.language, f"score {hit.score:.3f}"]
    if hit.box is not None:
        left, top, right, bottom = (
            round(side * 100) for side in (hit.box.left, hit.box.top, hit.box.right, hit.box.bottom)
        )
        facts.append(f"at {left},{top}-{right},{bottom}%")
    facts.append(f"maybe by {one(', '.join(sorted(label.strangers)), 60)}" if label.strangers else "no outsider")
    if label.readers is not None:
        facts.append(f"read by {one(', '.join(sorted(label.readers)) or 'nobody', 60)}")
    output.text("   " + "  ".join(fact for fact in facts if fact))
    snippet = " ".join(hit.snippet.split())
    if snippet:
        _print_marked(output, snippet, words)
    for other in hit.also[:5]:
        output.text(f"   same text: {place(other)}")
    if len(hit.also) > 5:
        output.text(f"   same text: {len(hit.also) - 5:,} more")
    output.text("")


def _print_marked(output: Output, snippet: str, words: str) -> None:
    """The snippet with the query's words in bold where a terminal shows it."""
    from mainspring.library.search.snippet import of_words

    shown = safe(snippet, exact=True)  # before it is marked, so that nothing of the page's is taken for a mark
    if not output.is_terminal:
        output.text(f"   {shown}")
        return
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    text = Text(shown)
    for meeting in of_words(shown, words) if words else ():
        text.stylize("bold yellow", meeting.start, meeting.end)
    Console(highlight=False, soft_wrap=False).print(Padding(text, (0, 0, 0, 3)))
