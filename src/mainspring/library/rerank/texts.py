"""What all rerankers do with texts: cut them, leave out empty ones, and check what came back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from mainspring.errors import ModelError
from mainspring.messages import valid_text


def each_scored(
    texts: Sequence[str], longest: int, batch: int, score: Callable[[list[str]], list[float]]
) -> list[float]:
    """A score for each text, asked for in batches. Empty texts come behind all others without being asked about.

    Args:
        texts: in any order; each is cut to `longest` characters.
        batch: most texts that `score` gets at once.
        score: one finite number for each text. Raises ModelError.
    """
    cut = [valid_text(text[:longest]).replace("\0", " ") for text in texts]
    full = [n for n, text in enumerate(cut) if text.strip()]
    found: dict[int, float] = {}
    for start in range(0, len(full), batch):
        group = full[start : start + batch]
        found.update(zip(group, score([cut[n] for n in group]), strict=True))
    last = min(found.values(), default=0.0) - 1.0
    return [found.get(n, last) for n in range(len(texts))]


def finite(value: object, wrong: Callable[[str], ModelError]) -> float:
    """`value` as a finite float; raises what `wrong` makes."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong("a score that is no number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise wrong("a score that is NaN or infinite")
    return number
