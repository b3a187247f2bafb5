"""How a long text is cut into stretches that the encoder takes at once."""

from __future__ import annotations

from dataclasses import dataclass

#: Tokens a window. The encoder could take 510, but attention's cost grows with the square.
SIZE = 240
#: Tokens that two neighbours share. Each gives the vectors of its half, so every vector has seen 8 tokens either side.
OVERLAP = 16


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens `start` to `end` are encoded; the vectors of `first` to `last` are kept."""

    start: int
    end: int
    first: int
    last: int


def windows(count: int, size: int = SIZE, overlap: int = OVERLAP) -> list[Window]:
    """As few windows as `count` tokens need, of about the same size; what they keep joins up without gaps."""
    if count <= 0:
        return []
    if count <= size:
        return [Window(0, count, 0, count)]
    number = -(-(count - overlap) // (size - overlap))
    starts = [i * (count - overlap) // number for i in range(number + 1)]
    half = overlap // 2
    return [
        Window(
            starts[i],
            starts[i + 1] + overlap,
            starts[i] + half if i else 0,
            starts[i + 1] + half if i + 1 < number else count,
        )
        for i in range(number)
    ]
