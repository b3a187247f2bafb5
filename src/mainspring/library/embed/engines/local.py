"""Encoders in this process, by PyTorch and transformers: the ColPali family, Qwen3-VL-Embedding, Nemotron ColEmbed V2.

Weights are read from safetensors files only. Code that comes with a model is run for nobody who has not said so and
named the revision that was looked at.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from mainspring.errors import ModelError, ToolError
from mainspring.library.embed.engines.answers import matrix
from mainspring.library.embed.engines.family import Side
from mainspring.library.embed.engines.pictures import prepare
from mainspring.library.embed.engines.vllm import windows
from mainspring.library.embed.protocol import Encoded, Item, Modality, Picture, Space, Vectors
from mainspring.messages import valid_text

_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FILES = ("*.json", "*.safetensors", "*.py", "*.txt", "*.model", "*.jinja")


_Encode: TypeAlias = "Callable[[Sequence[Any], Side], list[Made]]"


class Made(Protocol):
    """What became of one item: rows of numbers, for texts their characters, for pictures their grid."""

    rows: Any
    spans: tuple[tuple[int, int], ...]
    grid: tuple[int, int]


class Runner(Protocol):
    """A loaded model."""

    dim: int
    multi: bool
    documents: frozenset[Modality]
    queries: frozenset[Modality]
    patch: int
    max_patches: int

    def texts(self, texts: Sequence[str], side: Side) -> list[Made]:
        """Encode texts that are not empty."""
        ...

    def pictures(self, images: Sequence[Any], side: Side) -> list[Made]:
        """Encode pictures in RGB."""
        ...


class TransformersEmbedder:
    """An encoder that runs in this process.

    Args:
        model: a folder, or a name on the Hugging Face Hub.
        revision: commit of the Hub, or the digest of a folder. A folder's digest is checked; without one, a branch of
            the Hub is resolved to its commit.
        trust_remote_code: run Python code that comes with the model; needs a pinned `revision`.
        device: such as ``"cuda"``; the first GPU when None, else the CPU.
        dtype: such as ``"bfloat16"``; that of the weights on a GPU and float32 on a CPU when None.
        dimensions: numbers a vector to cut to (MRL), for single-vector models that were trained for it.
        instruction, query_instruction: what a single-vector model is told; its own when None.
        batch: items encoded together.
        max_pixels: budget of a picture; the family's own when None.
        window: characters of a text that are encoded together; longer ones become several pieces (multi-vector) or
            are cut off (single-vector).

    Raises:
        ModelError: torch or transformers is missing, the model cannot be loaded or is of no known family, its code is
            not trusted, or the folder's digest is another.
    """

    def __init__(
        self,
        model: str,
        *,
        revision: str | None = None,
        trust_remote_code: bool = False,
        device: str | None = None,
        dtype: str | None = None,
        dimensions: int | None = None,
        instruction: str | None = None,
        query_instruction: str | None = None,
        batch: int = 4,
        max_pixels: int | None = None,
        window: int | None = None,
    ) -> None:
        for name, value in {"batch": batch, "window": window or 1, "max_pixels": max_pixels or 1}.items():
            if value < 1:
                raise ModelError(f"{name} must be at least 1, not {value}")
        _needs_packages(model)
        folder = Path(model).expanduser()
        local = folder.is_dir()
        where = str(folder) if local else model
        config = _config(where, None if local else revision)
        said = _revision(folder, revision) if local else _of_hub(model, revision, config)
        from mainspring.library.embed.engines.torch_models import load, own_code

        if own_code(config):
            _check_trust(model, revision, said, trust_remote_code, local=local)
        options = {
            "dimensions": dimensions,
            "instruction": instruction,
            "query_instruction": query_instruction,
        }
        runner: Runner = load(where, config, None if local else said, device=device, dtype=dtype, options=options)
        self._runner: Runner | None = runner
        self._patch = runner.patch
        self._name = f"transformers:{model}"
        self._batch = batch
        self._window = window or (2_000 if runner.multi else 24_000)
        area = runner.patch**2
        self._max_patches = max(1, max_pixels // area) if max_pixels else runner.max_patches
        self._lock = threading.Lock()
        settings = f"{options} {self._max_patches} {self._window} {dtype}"
        self._space = Space(
            encoder=folder.name if local else model,
            revision=f"{said[:40]}.{hashlib.sha256(settings.encode()).hexdigest()[:8]}",
            dim=runner.dim,
            multi=runner.multi,
            documents=runner.documents,
            queries=runner.queries,
        )

    @property
    def space(self) -> Space:
        """The space of what it makes."""
        return self._space

    def documents(self, items: Sequence[Item]) -> list[Encoded]:
        """Encode what is searched; see `Embedder.documents`."""
        return self._encode(items, "document", self._space.documents)

    def queries(self, items: Sequence[Item]) -> list[Encoded]:
        """Encode what is searched with; see `Embedder.queries`."""
        return self._encode(items, "query", self._space.queries)

    def close(self) -> None:
        """Free the weights; it is not used afterwards."""
        with self._lock:
            self._runner = None

    def _encode(self, items: Sequence[Item], side: Side, takes: frozenset[Modality]) -> list[Encoded]:
        import numpy as np

        pieces: list[tuple[int, str | Any, int]] = []  # place of the item, text or picture, where the text begins
        for place, item in enumerate(items):
            wanted: Modality = "image" if isinstance(item, Picture) else "text"
            if wanted not in takes:
                known = " and ".join(sorted(takes))
                raise ToolError(f"{self._space.encoder} takes no {wanted} as {side}, only {known}")
            if isinstance(item, Picture):
                pieces.append((place, self._scaled(item), 0))
                continue
            text = valid_text(item).replace("\0", " ")
            cut = windows(text, self._window) if self._space.multi else [(0, min(len(text), self._window))]
            pieces += [(place, text[a:b], a) for a, b in cut if text[a:b].strip()]
        rows: list[list[Vectors]] = [[] for _ in items]
        spans: list[list[tuple[int, int]]] = [[] for _ in items]
        grids = [(0, 0)] * len(items)
        for number, made in self._run(pieces, side).items():
            place, _, begins = pieces[number]
            rows[place].append(matrix(made.rows, self._space.dim, self._wrong, multi=self._space.multi))
            spans[place] += [(a + begins, b + begins) for a, b in made.spans]
            grids[place] = made.grid
        nothing = np.zeros((0, self._space.dim), np.float32)
        return [
            Encoded(np.concatenate(found) if found else nothing, tuple(spans[n]), grids[n])
            for n, found in enumerate(rows)
        ]

    def _run(self, pieces: Sequence[tuple[int, Any, int]], side: Side) -> dict[int, Made]:
        """Each piece by its number, in order; texts and pictures in batches of their own, alike in length."""
        texts = [n for n, piece in enumerate(pieces) if isinstance(piece[1], str)]
        texts.sort(key=lambda n: len(pieces[n][1]))
        images = [n for n, piece in enumerate(pieces) if not isinstance(piece[1], str)]
        made: dict[int, Made] = {}
        with self._lock:
            runner = self._runner
            if runner is None:
                raise ModelError(f"{self._name} was closed; open it again")
            kinds: list[tuple[list[int], _Encode]] = [(texts, runner.texts), (images, runner.pictures)]
            for numbers, encode in kinds:
                for start in range(0, len(numbers), self._batch):
                    group = numbers[start : start + self._batch]
                    try:
                        found = encode([pieces[n][1] for n in group], side)
                    except (RuntimeError, ValueError, IndexError) as error:
                        raise self._failed(error) from error
                    made.update(zip(group, found, strict=True))
        return dict(sorted(made.items()))

    def _scaled(self, picture: Picture) -> Any:
        return prepare(picture, patch=self._patch, min_patches=4, max_patches=self._max_patches).image

    def _wrong(self, what: str) -> ModelError:
        return ModelError(f"{self._name} gave an unusable answer: {what}")

    def _failed(self, error: Exception) -> ModelError:
        text = " ".join(str(error).split())[:300]
        if "out of memory" in text:
            return ModelError(f"{self._name} ran out of memory; lower `batch` or `max_pixels` ({text})", retryable=True)
        return ModelError(f"{self._name} failed: {text}")


def _needs_packages(model: str) -> None:
    for package in ("torch", "transformers"):
        if importlib.util.find_spec(package) is None:
            raise ModelError(
                f"encoder 'transformers:{model}' needs {package}, which is missing: pip install \"mainspring[vision]\""
            )


def _config(where: str, revision: str | None) -> dict[str, Any]:
    transformers: Any = importlib.import_module("transformers")
    try:
        found, _ = transformers.PretrainedConfig.get_config_dict(where, revision=revision)
    except (OSError, ValueError) as error:
        raise ModelError(f"model {where!r} cannot be loaded: {' '.join(str(error).split())[:300]}") from None
    return dict(found)


def _of_hub(model: str, revision: str | None, config: dict[str, Any]) -> str:
    commit = config.get("_commit_hash")
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise ModelError(f"model {model!r}: its revision is unknown; name the commit by `revision`")
    if revision and _COMMIT.fullmatch(revision) and revision != commit:
        raise ModelError(f"model {model!r}: commit {revision} was asked for, {commit} came")
    return commit


def _revision(folder: Path, given: str | None) -> str:
    """The folder's digest, which `given` must be when it is one."""
    found = folder_digest(folder)
    if given and _DIGEST.fullmatch(given) and given != found:
        raise ModelError(f"model folder {folder} has the digest {found}, not {given}: its files have changed")
    return given if given and not _DIGEST.fullmatch(given) else found


def _check_trust(model: str, revision: str | None, said: str, trusted: bool, *, local: bool) -> None:
    pinned = bool(revision) and bool((_DIGEST if local else _COMMIT).fullmatch(revision or ""))
    if trusted and pinned:
        return
    name = "the folder's digest" if local else "a commit"
    raise ModelError(
        f"model {model!r} brings Python code of its own, which would run with all your rights; look at it, then give "
        f"trust_remote_code=True and revision={said!r} ({name})"
    )


def folder_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of a model's files.

    Raises:
        ModelError: a file cannot be read.
    """
    total = hashlib.sha256()
    try:
        for path in sorted({path for pattern in _FILES for path in folder.glob(pattern)}):
            with path.open("rb") as file:
                total.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    except OSError as error:
        raise ModelError(f"model folder {folder} cannot be read: {error}") from None
    return total.hexdigest()
