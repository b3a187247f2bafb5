"""`mainspring search`: pages of a library, by words, by meaning or by a picture."""

from __future__ import annotations

import atexit
import datetime
import gc
import time
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.hits import as_json, place, print_hit
from mainspring.cli.output import Output, note
from mainspring.cli.render import safe
from mainspring.library.page import Kind, RegionKind

if TYPE_CHECKING:
    from mainspring.library.embed.protocol import Picture, Reranker
    from mainspring.library.library import Library
    from mainspring.library.page import Hit, Where
    from mainspring.library.search import Explanation

KINDS: tuple[str, ...] = get_args(Kind)
REGIONS: tuple[str, ...] = get_args(RegionKind)
_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]
_EXPLAINED_WIDTH = 1_200

library_option = click.option(
    "--library", "name", default="default", show_default=True, metavar="NAME", help="Which library."
)


class _Search(click.Command):
    """A word with a minus, which a shell hands over like an option, is explained."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            word = next((each for each in given if len(each) > 2 and each[0] == "-" and each[1].isalpha()), "")
            if not word or not word.startswith(error.option_name):
                raise
            raise click.UsageError(
                f"no such option {error.option_name!r}; a word that must not occur is quoted together with the "
                f"others: mainspring search 'other words {word}'",
                ctx,
            ) from None


@click.command(cls=_Search)
@click.argument("query", metavar="[QUERY]...", nargs=-1)
@click.option("--image", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Search with a picture.")
@library_option
@click.option(
    "-k", "count", type=click.IntRange(0, 10_000), default=10, show_default=True, help="At most so many pages."
)
@click.option(
    "--mode",
    type=click.Choice(["hybrid", "text", "meaning"]),
    default="hybrid",
    show_default=True,
    help="By words, by meaning, or both.",
)
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Only documents of this kind.")
@click.option("--path", "paths", multiple=True, metavar="PREFIX|PATTERN", help="Only documents whose path fits.")
@click.option("--language", "languages", multiple=True, metavar="CODE", help="Only pages in this language: en, zh ...")
@click.option("--region", "regions", multiple=True, type=click.Choice(REGIONS), help="Only pages with such a piece.")
@click.option("--after", type=click.DateTime(_DATES), metavar="DATE", help="Only files changed since.")
@click.option("--before", type=click.DateTime(_DATES), metavar="DATE", help="Only files changed before.")
@click.option("--trusted", is_flag=True, help="Only what no outsider may have written.")
@click.option("--reader", default="", metavar="NAME", help="Only what this person may read.")
@click.option("--rerank", metavar="NAME", help="Have the best pages read again by this reranker; 'none' for none.")
@click.option(
    "--explain",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.png",
    help="Draw on the first page why it was found.",
)
@json_option
def search(
    query: tuple[str, ...],
    image: Path | None,
    name: str,
    count: int,
    mode: str,
    kinds: tuple[str, ...],
    paths: tuple[str, ...],
    languages: tuple[str, ...],
    regions: tuple[str, ...],
    after: datetime.datetime | None,
    before: datetime.datetime | None,
    trusted: bool,
    reader: str,
    rerank: str | None,
    explain: Path | None,
    json_: bool,
) -> None:
    """Find pages by words and by meaning, in any language, or by a picture.

    A "quoted phrase" must occur on the page (quote it for the shell as well); a word with a minus before it must not.
    `mainspring index PATH` puts documents into a library.

    \b
    Examples:
      mainspring search how long may an invoice stay unpaid
      mainspring search '"grace period" invoice -draft' --kind pdf
      mainspring search --image photo.png
      mainspring search boiler pressure --region table --explain why.png
    """
    # At the end of the process nothing is looked through for garbage once more, which took 20 ms.
    atexit.register(gc.freeze)
    words = " ".join(query).strip()
    if bool(words) == (image is not None):
        raise click.UsageError("say what to search for: words, or --image FILE")
    if explain is not None and explain.suffix.lower() != ".png":
        raise click.UsageError(f"--explain writes a PNG picture; {str(explain)!r} does not end in .png")
    asked = _picture(image) if image is not None else words
    where = filters(
        kinds=kinds,
        paths=paths,
        languages=languages,
        regions=regions,
        after=after,
        before=before,
        trusted=trusted,
        reader=reader,
    )
    with opened(name) as library:
        again = _reranker(rerank)
        began = time.perf_counter()
        hits = library.search(asked, k=count, where=where, mode=mode, rerank=again)  # type: ignore[arg-type]
        seconds = time.perf_counter() - began
        output = Output.plain()
        for number, hit in enumerate(hits, 1):
            output.json(as_json(hit, number)) if json_ else print_hit(output, hit, number, words)
        pages = "page" if len(hits) == 1 else "pages"
        note(f"{len(hits)} {pages} in {seconds * 1000:.0f} ms" + ("" if hits else f"; {_why_nothing(library, where)}"))
        chosen = library.catalog.get("embedder") == "none"  # a person who wants no vectors needs not be told each time
        if mode == "hybrid" and not chosen and library.problem and library.catalog.counts()["pages"]:
            note(f"mainspring: searched by words only: {safe(library.problem)}")
        if explain is not None and hits:
            _explain(library, hits[0], asked, explain)


def opened(name: str) -> Library:
    """The library of this name, which must be there. Raises StoreError."""
    from mainspring.library.library import existing

    return existing(name)


def _explain(library: Library, hit: Hit, asked: str | Picture, path: Path) -> None:
    from mainspring.errors import ToolError

    found: Explanation = library.explain(hit, asked)
    told = safe(found.text(("[", "]")), exact=True)
    if told:
        note(f"why {place(hit.page)}:\n{told}")
    try:
        picture = found.picture(_EXPLAINED_WIDTH)
    except ToolError as error:
        raise ToolError(f"{path} was not written: {error}") from None
    picture.save(path, "PNG")
    note(f"drawn on {path}")


def _why_nothing(library: Library, where: Where) -> str:
    from mainspring.library.page import Where as Filter

    if not library.catalog.counts()["pages"]:
        return "the library is empty; `mainspring index PATH` fills it"
    if where != Filter() and not len(library.catalog.among(where)):
        return "no page fits the filters"
    return "no page fits; try other words, or --mode meaning"


def _picture(path: Path) -> Picture:
    from mainspring.library.embed.protocol import Picture as Shown

    return Shown(path)


def _reranker(name: str | None) -> Reranker | None:
    """The reranker of this name; without one, that of `mainspring.toml`."""
    if name is None:
        from mainspring.config import load_config
        from mainspring.store import default_home

        name = load_config(default_home()).library.reranker
    if name in ("", "none"):
        return None
    from mainspring.library.rerank import open_reranker

    return open_reranker(name)


def filters(
    *,
    kinds: tuple[str, ...] = (),
    paths: tuple[str, ...] = (),
    languages: tuple[str, ...] = (),
    regions: tuple[str, ...] = (),
    after: datetime.datetime | None = None,
    before: datetime.datetime | None = None,
    trusted: bool = False,
    reader: str = "",
) -> Where:
    """What a person's options say of the pages to be found."""
    from mainspring.library.page import Where as Filter

    return Filter(
        kinds=kinds,  # type: ignore[arg-type]  # click has checked them
        languages=tuple(code.lower() for code in languages),
        paths=tuple(absolute(path) for path in paths),
        regions=regions,  # type: ignore[arg-type]
        changed_after=None if after is None else after.timestamp(),
        changed_before=None if before is None else before.timestamp(),
        reader=reader,
        trusted=trusted,
    )


def absolute(path: str) -> str:
    """A path as documents are named. A name such as mail:inbox stays as it is, and so does a pattern for any place."""
    if ":" in path.partition("/")[0]:
        return path
    if "*" in path or "?" in path:
        first = path.partition("/")[0]
        fixed = "/" in path and not set("*?") & set(first)
        if not fixed or not Path(first).expanduser().exists():
            return path
    return str(Path(path).expanduser().absolute())
