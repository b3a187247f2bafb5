"""`mainspring library ask`: an answer from a library, with quotes that were checked."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.hits import box_sides, one, place
from mainspring.cli.index import counted
from mainspring.cli.output import Output, note
from mainspring.cli.search import KINDS, library_option, opened
from mainspring.cli.status import FAILED

if TYPE_CHECKING:
    from mainspring.library.ask import Answer


@click.command()
@click.argument("question", nargs=-1, required=True)
@library_option
@click.option("--model", "-m", metavar="MODEL", help="Such as local, openai:NAME, a URL. [env: MAINSPRING_MODEL]")
@click.option("-k", "count", type=click.IntRange(1, 20), default=8, show_default=True, help="Pages the model reads.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Only documents of this kind.")
@click.option("--path", "paths", multiple=True, metavar="PREFIX|PATTERN", help="Only documents whose path fits.")
@click.option("--trusted", is_flag=True, help="Only what no outsider may have written.")
@json_option
@click.pass_context
def ask(
    context: click.Context,
    question: tuple[str, ...],
    name: str,
    model: str | None,
    count: int,
    kinds: tuple[str, ...],
    paths: tuple[str, ...],
    trusted: bool,
    json_: bool,
) -> None:
    """Answer a question from a library, each statement with its quote. Exit status 1 when the answer is not there.

    \b
    Examples:
      mainspring library ask "When must the boiler be vented?"
      mainspring library ask "Was kostet das?" --kind pdf --model openai:gpt-5
    """
    from mainspring.cli.search import filters
    from mainspring.model import model_name
    from mainspring.models import resolve

    reader = resolve(model or os.environ.get("MAINSPRING_MODEL") or "local")
    where = filters(kinds=kinds, paths=paths, trusted=trusted)
    with opened(name) as library:
        if sys.stderr.isatty() and not json_:
            note(f"{one(model_name(reader), 80)} reads what is found ...")
        answer: Answer = asyncio.run(library.ask(" ".join(question), reader, k=count, where=where))
    output = Output.plain()
    if json_:
        output.json(as_json(answer))
    else:
        _print(output, answer)
    if not answer.found:
        context.exit(FAILED)


def as_json(answer: Answer) -> dict[str, Any]:
    """An answer as a JSON object."""
    return {
        "found": answer.found,
        "text": answer.text,
        "statements": [
            {
                "text": s.text,
                "citations": [answer.citations.index(c) + 1 for c in s.citations],
                "unsupported": list(s.unsupported),
            }
            for s in answer.statements
        ],
        "citations": [
            {
                "page": c.page.id,
                "uri": c.page.document.uri,
                "number": c.page.page.number,
                "quote": c.quote,
                "start": c.start,
                "end": c.end,
                "box": box_sides(c.box),
                "label": c.page.document.label.encode(),
            }
            for c in answer.citations
        ],
        "dropped": [{"text": d.text, "reason": d.reason} for d in answer.dropped],
        "label": answer.label.encode(),
        "usage": answer.usage,
    }


def _print(output: Output, answer: Answer) -> None:
    for statement in answer.statements:
        marks = "".join(f"[{answer.citations.index(c) + 1}]" for c in statement.citations)
        output.text(f"{one(statement.text, 2_000)} {marks}")
        if statement.unsupported:
            output.text(f"   not in the quote: {one(', '.join(statement.unsupported), 200)}")
    if not answer.statements:
        output.text(answer.text)
    for number, citation in enumerate(answer.citations, 1):
        output.text(f'\n[{number}] {place(citation.page)}\n   "{one(citation.quote, 400)}"')
    if answer.dropped:
        note(f"left out: {counted(len(answer.dropped), 'statement')} whose quote stands on no page that was shown")
