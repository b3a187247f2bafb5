"""Multi-vector encoders behind vLLM's `/pooling`: Nemotron ColEmbed V2, ColQwen, ColPali, ColBERT.

The protocol is vLLM's pooling API with the task ``token_embed``: texts as ``input``, pictures as data URLs in chat
``messages``; one vector comes back for each token of the prompt. The server must run without prefix caching: what it
takes from its cache has no vectors.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mainspring.errors import ModelError
from mainspring.library.embed.engines.answers import in_order, matrix, patches_first
from mainspring.library.embed.engines.base import HTTPEmbedder, picture_part, text_part
from mainspring.library.embed.engines.family import Family, Side, family_of
from mainspring.library.embed.engines.http import Client, server_from
from mainspring.library.embed.protocol import Encoded, Item, Picture, Vectors

#: A page of 1,300 vectors of 4,096 numbers is some 110 MB of JSON.
_MAX_ANSWER = 160_000_000
_BYTES_A_NUMBER = 24


class VllmEmbedder(HTTPEmbedder):
    """One vector a token or patch, from a vLLM server.

    Args:
        address: ``URL#MODEL``.
        family: how the model wants its input: a name of `family.FAMILIES`, or your own `Family`; found from the
            model's name when None.
        window: texts are sent in pieces of at most this many characters, because a model sees a few thousand tokens.
        picture_starts: how many tokens stand before a picture's first patch, when the server has no ``/tokenize``.
        revision, dim, batch, parallel, max_pixels: see `HTTPEmbedder`.
        key_name: environment variable that holds the server's key; ``MAINSPRING_KEY_<HOST>`` when "".
        **client: `timeout_s`, `tries`, `max_wait_s`, `max_answer_bytes`, `sleep` of `Client`.

    Raises:
        ModelError: the address or an option is wrong.
    """

    def __init__(
        self,
        address: str,
        *,
        family: Family | str | None = None,
        window: int = 2_000,
        picture_starts: int | None = None,
        revision: str | None = None,
        dim: int | None = None,
        batch: int = 16,
        parallel: int = 4,
        max_pixels: int | None = None,
        key_name: str = "",
        **client: Any,
    ) -> None:
        server = server_from(address, key_name=key_name)
        kind = family_of(server.model, family)
        super().__init__(
            server,
            kind,
            Client(server, f"vllm:{server.model}", **{"max_answer_bytes": _MAX_ANSWER, **client}),
            revision=revision,
            dim=dim,
            batch=batch,
            parallel=parallel,
            max_pixels=max_pixels,
            settings={"window": window, "engine": "pooling"},
        )
        if window < 100:
            raise ModelError(f"window must be at least 100 characters, not {window}")
        self._window = window
        self._max_answer = int(client.get("max_answer_bytes", _MAX_ANSWER))
        self._starts_lock = threading.Lock()
        #: Tokens before a picture's first patch and all that are no patches; None when nobody knows.
        self._around: tuple[int, int | None] | None = (
            (picture_starts, None) if picture_starts is not None else (0, None) if kind.fixed != (0, 0) else None
        )
        self._asked_around = self._around is not None or not kind.patch

    def _encode(self, items: Sequence[Item], side: Side) -> list[Encoded]:
        # An item becomes pieces: a picture one, a text one for each window of it, an empty text none.
        pieces: list[tuple[int, str | Picture, tuple[int, int]]] = []
        for place, item in enumerate(items):
            if isinstance(item, Picture):
                pieces.append((place, item, (0, 0)))
            else:
                pieces += [(place, item[a:b], (a, b)) for a, b in windows(item, self._window) if item[a:b].strip()]
        jobs: list[list[int]] = []
        alone = [n for n, (_, piece, _) in enumerate(pieces) if isinstance(piece, Picture) or self._family.chat]
        together = [n for n in range(len(pieces)) if n not in set(alone)]
        jobs += [[n] for n in alone]
        jobs += [
            [together[n] for n in group]
            for group in self._batches([str(pieces[n][1]) for n in together], self._characters())
        ]

        def work(job: list[int]) -> list[tuple[Vectors, tuple[int, int]]]:
            first = pieces[job[0]][1]
            if isinstance(first, Picture):
                return [self._of_picture(first)]
            texts = [self._text(str(pieces[n][1]), side) for n in job]
            return [(found, (0, 0)) for found in self._of_texts(texts)]

        made: dict[int, tuple[Vectors, tuple[int, int]]] = {}
        for job, found in zip(jobs, self._at_once(work, jobs), strict=True):
            made.update(zip(job, found, strict=True))
        return self._put_together(len(items), pieces, made)

    def _put_together(
        self,
        count: int,
        pieces: Sequence[tuple[int, str | Picture, tuple[int, int]]],
        made: dict[int, tuple[Vectors, tuple[int, int]]],
    ) -> list[Encoded]:
        import numpy as np

        vectors: list[list[Vectors]] = [[] for _ in range(count)]
        spans: list[list[tuple[int, int]]] = [[] for _ in range(count)]
        grids: list[tuple[int, int]] = [(0, 0)] * count
        for number, (place, piece, span) in enumerate(pieces):
            found, grid = made[number]
            vectors[place].append(found)
            if isinstance(piece, Picture):
                grids[place] = grid
            else:
                spans[place] += [span] * len(found)  # the server tells no offsets: each stands for its whole piece
        return [
            Encoded(np.concatenate(rows) if rows else np.zeros((0, self._dim), np.float32), tuple(spans[n]), grids[n])
            for n, rows in enumerate(vectors)
        ]

    def _characters(self) -> int:
        """Characters of one request whose answer is not too long: a character is at most about one vector."""
        return self._max_answer // (_BYTES_A_NUMBER * max(1, self._dim))

    def _of_texts(self, texts: Sequence[str]) -> list[Vectors]:
        if self._family.chat:
            return [self._of_message([text_part(text)]) for text in texts]
        body = {"input": list(texts), **self._common()}
        return self._pooled(body, len(texts))

    def _of_picture(self, picture: Picture) -> tuple[Vectors, tuple[int, int]]:
        prepared = self._picture(picture)
        found = self._of_message([picture_part(prepared), text_part(self._family.picture_text)])
        around = self._tokens_around()
        rows, columns = prepared.grid
        if around is None or not self._family.patch:
            return found, (0, 0)
        before, extra = around
        left = len(found) - rows * columns
        # Where the count does not fit, the server scaled the picture by its own rule: rather no map than a wrong one.
        if left < before or (extra is not None and left != extra):
            return found, (0, 0)
        return patches_first(found, before, prepared.grid), prepared.grid

    def _of_message(self, content: list[dict[str, Any]]) -> Vectors:
        body = {**self._message(content), **self._common()}
        return self._pooled(body, 1)[0]

    def _message(self, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "messages": [{"role": "user", "content": content}],
            "add_generation_prompt": self._family.answer,
        }

    def _common(self) -> dict[str, Any]:
        return {"model": self._server.model, "task": "token_embed", "encoding_format": "float"}

    def _pooled(self, body: dict[str, Any], count: int) -> list[Vectors]:
        answer = self._client.post(f"{self._server.root}/pooling", body)
        wrong: Callable[[str], ModelError] = self._client.unreadable
        data = in_order(answer.get("data") if isinstance(answer, dict) else None, count, wrong)
        found = [matrix(one.get("data"), self._dim, wrong, multi=True) for one in data]
        if not self._dim:
            self._dim = int(found[0].shape[1])
        return found

    def _tokens_around(self) -> tuple[int, int | None] | None:
        """How many tokens of a picture's prompt stand before its patches, and how many are none, by ``/tokenize``."""
        with self._starts_lock:
            if self._asked_around:
                return self._around
            image = blank(self._family.patch, self._family.min_patches)
            content = [{"type": "image_url", "image_url": {"url": image}}, text_part(self._family.picture_text)]
            body = {"model": self._server.model, "return_token_strs": True, **self._message(content)}
            try:
                answer = self._client.post(f"{self._server.root}/tokenize", body)
            except ModelError as error:
                if error.retryable:
                    return None  # asked again with the next picture
                answer = None
            self._asked_around = True
            tokens = answer.get("token_strs") if isinstance(answer, dict) else None
            if isinstance(tokens, list):
                self._around = _around(tokens, self._family.picture_tokens)
            return self._around


def _around(tokens: Iterable[object], patch_tokens: Sequence[str]) -> tuple[int, int] | None:
    marks = [token in patch_tokens for token in tokens]
    if True not in marks:
        return None
    return marks.index(True), marks.count(False)


def blank(patch: int, patches: int) -> str:
    """A white picture of about `patches` patches as a data URL."""
    from PIL import Image

    from mainspring.library.embed.engines.pictures import Prepared

    side = max(1, round(patches**0.5))
    return Prepared(Image.new("RGB", (side * patch, side * patch), "white"), (side, side)).data_url()


def windows(text: str, most: int) -> list[tuple[int, int]]:
    """Pieces of `text` of at most `most` characters, cut at white space where their second half has any."""
    found: list[tuple[int, int]] = []
    start = 0
    while len(text) - start > most:
        end = start + most
        cut = max(text.rfind(space, start + most // 2, end) for space in ("\n", " ", "。"))
        end = cut + 1 if cut > start else end
        found.append((start, end))
        start = end
    if start < len(text):
        found.append((start, len(text)))
    return found
