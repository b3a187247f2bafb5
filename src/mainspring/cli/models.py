"""`mainspring models`: which models can be named here, and fetching local ones ahead."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.group import LazyGroup
from mainspring.cli.output import Output
from mainspring.cli.render import bytes_text, columns

if TYPE_CHECKING:
    from mainspring.library.embed.carried import Carried

_HERE = "mainspring.cli.models"


@click.group(
    cls=LazyGroup,
    default="list",
    lazy={
        "list": (f"{_HERE}:list_", "Which models can be named, and which are here (the default)."),
        "fetch": (f"{_HERE}:fetch", "Download a local model ahead of its first use."),
    },
)
def models() -> None:
    """List the models that can be used; fetch local ones.

    \b
    Examples:
      mainspring models
      mainspring models fetch local:1.5b
    """


@click.command("list")
@json_option
def list_(json_: bool) -> None:
    """Which models can be named, and which are here."""
    from mainspring.models.local import carriers
    from mainspring.models.local.names import DEFAULT, SIZES

    output = Output.plain()
    rows: list[tuple[str, str, str]] = []
    for size, weights in SIZES.items():
        path = carriers.weights_path(weights)
        here = path.is_file() and path.stat().st_size == weights.size
        name = f"local:{size}"
        if json_:
            output.json(
                {"name": name, "default": size == DEFAULT, "cached": here, "bytes": weights.size, "path": str(path)}
            )
            continue
        also = " (also `local`)" if size == DEFAULT else ""
        state = "here" if here else f"{bytes_text(weights.size)} to download: mainspring models fetch {name}"
        rows.append((name, weights.title + also, state))
    embedder, path, here = _embedder()
    if json_:
        output.json({"name": "e5", "default": False, "cached": here, "bytes": embedder.size, "path": str(path)})
        for form, what, needs in _FORMS:
            output.json({"form": form, "what": what, "needs": needs})
        return
    state = "here" if here else f"{bytes_text(embedder.size)} to download: mainspring models fetch e5"
    rows.append(("e5", f"{embedder.title}: vectors for the library's search", state))
    output.text("\n".join(columns([*rows, *_FORMS], ("MODEL", "WHAT", "NEEDS"))))


def _embedder() -> tuple[Carried, Path, bool]:
    """The library's embedded embedder: its weights, their place, and whether they are here."""
    from mainspring.library.embed.carried import E5_SMALL, path_of

    path = path_of(E5_SMALL)
    return E5_SMALL, path, path.is_file() and path.stat().st_size == E5_SMALL.size


_FORMS = (
    ("local:PATH.gguf", "any GGUF file, run by llama.cpp", "the file"),
    ("anthropic:MODEL", "Anthropic's models", "ANTHROPIC_API_KEY"),
    ("openai:MODEL", "OpenAI's models", "OPENAI_API_KEY"),
    ("PROVIDER:MODEL", "google, groq, mistral, bedrock and others", "its extra and its key"),
    ("openai:MODEL@URL", "any OpenAI-compatible server", "its address"),
)


@click.command()
@click.argument("name", metavar="MODEL")
@json_option
def fetch(name: str, json_: bool) -> None:
    """Download a local model ahead of its first use, and check its digest. An interrupted download goes on.

    \b
    Examples:
      mainspring models fetch local:0.5b
      mainspring models fetch e5
    """
    if name == "e5":
        from mainspring.library.embed import prepare

        path = prepare().weights
    else:
        from mainspring.models.local.names import resolve_local

        config, _ = asyncio.run(resolve_local(name).prepare())
        path = config.path
    output = Output.plain()
    if json_:
        output.json({"name": name, "path": str(path), "bytes": path.stat().st_size})
    else:
        output.text(f"{name}: {path} ({bytes_text(path.stat().st_size)})")
