"""What the two engines behind HTTP share: which weights the server runs, batches, and pictures as messages."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import quote

from mainspring.errors import ModelError, ToolError
from mainspring.library.embed.engines.answers import PROBE, SAME_BITS, differs, sketch
from mainspring.library.embed.engines.family import Family, Side, written
from mainspring.library.embed.engines.http import Client, Server
from mainspring.library.embed.engines.pictures import Prepared, prepare
from mainspring.library.embed.protocol import Encoded, Item, Modality, Picture, Space, Vectors
from mainspring.messages import valid_text

_PROBED = "probe-"
_SNAPSHOT = re.compile(r"snapshots/([0-9a-f]{40})(?:/|$)")

T = TypeVar("T")
R = TypeVar("R")


class HTTPEmbedder:
    """Base of the engines behind HTTP; not used by itself.

    Args:
        server: whom to ask.
        family: how the model wants its input.
        client: sends the requests.
        revision: of the weights, when the server cannot say; a sketch (``probe-...``) is compared with the server's.
        dim: numbers a vector, when they are known; asked from the server otherwise.
        batch: most texts of one request.
        parallel: most requests under way at once.
        max_pixels: budget of a picture; the family's own when None.
        settings: whatever else changes the vectors, for the space's name.
    """

    _multi = True

    def __init__(
        self,
        server: Server,
        family: Family,
        client: Client,
        *,
        revision: str | None = None,
        dim: int | None = None,
        batch: int = 16,
        parallel: int = 4,
        max_pixels: int | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        least = {"batch": batch, "parallel": parallel, "dim": dim or 1, "max_pixels": max_pixels or 1}
        for name, value in least.items():
            if value < 1:
                raise ModelError(f"{name} must be at least 1, not {value}")
        self._server = server
        self._family = family
        self._client = client
        self._given = revision
        self._dim = dim or 0
        self._batch = batch
        self._parallel = parallel
        area = max(1, family.patch * family.patch)
        self._max_patches = max(1, max_pixels // area) if max_pixels else family.max_patches
        self._settings = {"max_patches": self._max_patches, **(settings or {})}
        self._space: Space | None = None
        self._lock = threading.Lock()

    @property
    def space(self) -> Space:
        """The space. The first time, the server is asked which weights it runs. Raises ModelError."""
        with self._lock:
            if self._space is None:
                weights = self._weights()
                modalities: frozenset[Modality] = frozenset({"text", "image"} if self._family.pictures else {"text"})
                self._space = Space(
                    encoder=self._server.model,
                    revision=f"{weights}.{self._family.settings(self._settings)}",
                    dim=self._dim,
                    multi=self._multi,
                    documents=modalities,
                    queries=modalities,
                )
            return self._space

    def documents(self, items: Sequence[Item]) -> list[Encoded]:
        """Encode what is searched; see `Embedder.documents`."""
        return self._encoded(items, "document")

    def queries(self, items: Sequence[Item]) -> list[Encoded]:
        """Encode what is searched with; see `Embedder.queries`."""
        return self._encoded(items, "query")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _encoded(self, items: Sequence[Item], side: Side) -> list[Encoded]:
        _ = self.space  # so that the dimension is known, and other weights are found out before they are mixed in
        return self._encode(items, side)

    def _encode(self, items: Sequence[Item], side: Side) -> list[Encoded]:
        raise NotImplementedError

    def _probe(self) -> Vectors:
        return self._encode([PROBE], "document")[0].vectors

    def _weights(self) -> str:
        """What to call the server's weights, and `_dim` known.

        The user's own word wins; else what the server says of its model; else a sketch of its answer to a fixed text.
        """
        given = self._given
        if given is not None and not given.startswith(_PROBED):
            if not self._dim:
                self._dim = int(self._probe().shape[1])
            return given
        said = None if given else self._said()
        probed = self._probe()
        self._dim = int(probed.shape[1])
        if said:
            return said
        found = sketch(probed)
        if given is None:
            return _PROBED + found
        expected = given.removeprefix(_PROBED).partition(".")[0]
        if differs(found, expected) > SAME_BITS:
            raise ModelError(
                f"{self._client.name} at {self._server.host} runs other weights than before: the probe gives "
                f"{_PROBED}{found}, expected was {_PROBED}{expected}; serve the former model, or index again under "
                "a new revision"
            )
        return _PROBED + expected

    def _said(self) -> str | None:
        """The revision that the server's list of models gives; None when it has no such list or says nothing."""
        try:
            answer = self._client.get(f"{self._server.root}/v1/models")
        except ModelError as error:
            if error.status in (404, 405, 501):
                return None
            raise
        listed = answer.get("data") if isinstance(answer, dict) else None
        models = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        own = next((one for one in models if one.get("id") == self._server.model), None)
        if own is None:
            if not models:
                return None
            names = ", ".join(valid_text(str(one.get("id")))[:100] for one in models[:8])
            raise ModelError(
                f"{self._server.host} does not serve {self._server.model!r} but {names}; write that name behind '#'"
            )
        for key in ("revision", "sha", "digest", "model_sha"):
            value = own.get(key)
            if isinstance(value, str) and value:
                return quote(valid_text(value)[:80], safe="")
        snapshot = _SNAPSHOT.search(str(own.get("root", "")))
        return snapshot.group(1) if snapshot else None

    # --- shared by the engines -------------------------------------------------------------------------------------

    def _text(self, item: str, side: Side) -> str:
        form = self._family.query if side == "query" else self._family.document
        return written(form, valid_text(item).replace("\0", " "), self._instruction(side))

    def _instruction(self, side: Side) -> str:
        return self._family.query_instruction if side == "query" else self._family.instruction

    def _picture(self, picture: Picture) -> Prepared:
        if not self._family.pictures:
            raise ToolError(
                f"{self._server.model} takes no pictures as far as is known; give the text, or say `family=` if it "
                "is one of a family that does"
            )
        family = self._family
        return prepare(
            picture,
            patch=family.patch or 28,
            min_patches=min(family.min_patches, self._max_patches),
            max_patches=self._max_patches,
            fixed=family.fixed,
        )

    def _at_once(self, work: Callable[[T], R], parts: Sequence[T]) -> list[R]:
        """`work` for each part, several at a time; the first error ends it."""
        if len(parts) < 2 or self._parallel == 1:
            return [work(part) for part in parts]
        with ThreadPoolExecutor(min(self._parallel, len(parts))) as pool:
            futures = [pool.submit(work, part) for part in parts]
            try:
                return [future.result() for future in futures]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _batches(self, texts: Sequence[str], most: int) -> Iterator[list[int]]:
        """Places of `texts`, in groups of at most `batch` texts and `most` characters, or one longer text alone."""
        group: list[int] = []
        characters = 0
        for place, text in enumerate(texts):
            if group and (len(group) == self._batch or characters + len(text) > most):
                yield group
                group, characters = [], 0
            group.append(place)
            characters += len(text)
        if group:
            yield group


def picture_part(prepared: Prepared) -> dict[str, Any]:
    """A picture as a part of a chat message."""
    return {"type": "image_url", "image_url": {"url": prepared.data_url()}}


def text_part(text: str) -> dict[str, Any]:
    """A text as a part of a chat message."""
    return {"type": "text", "text": text}
