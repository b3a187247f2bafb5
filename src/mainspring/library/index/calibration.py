"""How vectors as the encoder made them become vectors as the index keeps them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from mainspring.library.index.clusters import PER_CENTROID, TRAINED, Clusters, how_many, train
from mainspring.library.index.numbers import F32, I64

#: Vectors of longer spaces are projected to this many numbers.
SHORT = 128
#: Vectors of a corpus from which on a basis is learnt from it: some 700 pages of text.
PROJECTED = 200_000
#: Vectors that one calibration is computed from, at most.
SAMPLE = 200_000
#: Vectors of the corpus that weigh as much as the guess that the mean is zero.
_PRIOR = 16


@dataclass(frozen=True, slots=True)
class Calibration:
    """Mean, basis and centroids of one state of the corpus.

    Args:
        id: number in the manifest; 0 before anything was learnt.
        dim: numbers of a vector as the encoder makes it.
        tokens: vectors in the corpus when it was computed.
        mean: what is taken from documents, shape (dim,); None when the space is not centred.
        basis: orthonormal rows, shape (SHORT, dim); None where vectors keep their numbers.
        clusters: centroids of the projected pooled vectors; None while there are too few.
    """

    id: int
    dim: int
    tokens: int = 0
    mean: F32 | None = None
    basis: F32 | None = None
    clusters: Clusters | None = None

    @property
    def width(self) -> int:
        """Numbers of a vector as the index keeps it."""
        return self.dim if self.basis is None else len(self.basis)

    def documents(self, vectors: F32) -> tuple[F32, F32]:
        """Document vectors as they are kept, and how long each was when the mean had been taken away."""
        norms = np.ones(len(vectors), dtype=np.float32)
        if self.mean is not None:
            vectors = np.asarray(vectors - self.mean, dtype=np.float32)
            norms = np.linalg.norm(vectors, axis=1).astype(np.float32)
            vectors = np.asarray(vectors / np.where(norms > 0, norms, np.float32(1.0))[:, None], dtype=np.float32)
        return self.queries(vectors), norms

    def queries(self, vectors: F32) -> F32:
        """Query vectors in the space of the documents. Their mean is the encoder's affair."""
        if self.basis is not None:
            vectors = vectors @ self.basis.T
        return np.ascontiguousarray(vectors, dtype=np.float32)

    def originals(self, kept: F32, norms: F32) -> F32:
        """What the encoder made, as near as what was kept tells."""
        vectors = kept if self.basis is None else kept @ self.basis
        if self.mean is not None:
            vectors = vectors * norms[:, None] + self.mean
        return np.asarray(vectors, dtype=np.float32)

    def same_space(self, other: Calibration) -> bool:
        """Whether both keep the same vectors for the same page, so that only their centroids differ."""
        return _same(self.mean, other.mean) and _same(self.basis, other.basis)

    def blobs(self) -> dict[str, bytes | None]:
        """Its arrays as bytes, for the manifest."""
        clusters = self.clusters
        return {
            "mean": None if self.mean is None else self.mean.astype("<f4").tobytes(),
            "basis": None if self.basis is None else self.basis.astype("<f4").tobytes(),
            "coarse": None if clusters is None else clusters.coarse.astype("<f4").tobytes(),
            "fine": None if clusters is None else clusters.fine.astype("<f4").tobytes(),
            "starts": None if clusters is None else clusters.starts.astype("<i8").tobytes(),
        }


def digest(blobs: dict[str, bytes | None]) -> str:
    """SHA-256 over the arrays of a calibration."""
    total = hashlib.sha256()
    for name in ("mean", "basis", "coarse", "fine", "starts"):
        blob = blobs[name]
        total.update(f"{name} {-1 if blob is None else len(blob)}\n".encode())
        total.update(blob or b"")
    return total.hexdigest()


def from_blobs(id_: int, dim: int, tokens: int, blobs: dict[str, bytes | None]) -> Calibration:
    """What `Calibration.blobs` was made from."""
    mean, basis, fine = blobs["mean"], blobs["basis"], blobs["fine"]
    made = Calibration(
        id_,
        dim,
        tokens,
        None if mean is None else np.frombuffer(mean, "<f4"),
        None if basis is None else np.frombuffer(basis, "<f4").reshape(-1, dim),
    )
    if fine is None:
        return made
    width = made.width
    clusters = Clusters(
        np.frombuffer(blobs["coarse"] or b"", "<f4").reshape(-1, width),
        np.frombuffer(fine, "<f4").reshape(-1, width),
        np.frombuffer(blobs["starts"] or b"", "<i8"),
    )
    return Calibration(id_, dim, tokens, made.mean, made.basis, clusters)


def shrunk_mean(total: F32, count: int) -> F32:
    """The mean of a corpus from the sum of its vectors; a corpus of a few vectors says little, so it is held back."""
    return np.asarray(total / (count + _PRIOR), dtype=np.float32)


def principal(vectors: F32) -> F32:
    """The `SHORT` directions in which the vectors have most of their length: orthonormal rows, (SHORT, dim).

    Dot products are to be kept, not variances, so nothing is taken away first. Subspace iteration (Halko, Martinsson
    and Tropp, "Finding Structure with Randomness", 2011) needs products with thin matrices only.
    """
    second = vectors.T @ vectors / np.float32(max(1, len(vectors)))
    dim = second.shape[0]
    if dim <= 1024:
        _, directions = np.linalg.eigh(second.astype(np.float64))
        return np.ascontiguousarray(directions[:, ::-1][:, :SHORT].T, dtype=np.float32)
    guess = np.random.default_rng(dim).standard_normal((dim, SHORT + 32)).astype(np.float32)
    for _ in range(6):
        guess = np.linalg.qr(second @ guess)[0]
    values, small = np.linalg.eigh((guess.T @ (second @ guess)).astype(np.float64))
    best = small[:, np.argsort(values)[::-1][:SHORT]]
    return np.ascontiguousarray((guess @ best.astype(np.float32)).T, dtype=np.float32)


def learn(sample: F32, *, tokens: int, centred: bool, multi: bool) -> Calibration:
    """Mean and basis from a sample of a corpus of `tokens` vectors. The centroids come after (`with_clusters`).

    Single vectors keep all their numbers: there is one a page, so they are small, and nothing else could make up for
    what a projection loses. So do those of a small corpus: what a basis learnt from its first documents leaves out is
    lost for good when documents of another kind or language follow (docs/library-benchmark.md).
    """
    dim = sample.shape[1]
    mean = None
    if centred:
        mean = shrunk_mean(sample.sum(axis=0, dtype=np.float64).astype(np.float32), len(sample))
    basis = None
    if multi and dim > SHORT and tokens >= PROJECTED and len(sample) >= 4 * dim:
        basis = principal(Calibration(0, dim, tokens, mean).documents(sample)[0])
    return Calibration(0, dim, tokens, mean, basis)


def sample_size(pooled: int) -> int:
    """Pooled vectors that the centroids of a corpus of `pooled` are trained on."""
    return min(how_many(pooled) * PER_CENTROID, TRAINED)


def with_clusters(made: Calibration, pooled: F32, total: int) -> Calibration:
    """The same with centroids for a corpus of `total` pooled vectors, from a sample of them."""
    count = how_many(total)
    clusters = train(pooled, count) if count else None
    return Calibration(made.id, made.dim, made.tokens, made.mean, made.basis, clusters)


def _same(one: F32 | None, other: F32 | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


def spread(count: int, wanted: int) -> I64:
    """`wanted` of the numbers 0 to `count` - 1, chosen by chance but always the same, in order."""
    if wanted >= count:
        return np.arange(count, dtype=np.int64)
    return np.sort(np.random.default_rng(count).choice(count, wanted, replace=False)).astype(np.int64)
