"""How long a text is for a model, when no tokenizer is at hand."""

from __future__ import annotations

__all__ = ["estimate"]

#: Characters a token in a map of paths and signatures. Measured with a 100,000-word vocabulary on maps of the
#: packages in ``benchmarks/repo_map``: see docs/repository-map.md.
CHARACTERS_A_TOKEN = 3.8


def estimate(text: str) -> int:
    """About how many tokens a map has; other scripts than Latin count a token a character."""
    wide = sum(1 for character in text if ord(character) > 0x2FF) if not text.isascii() else 0
    return wide + -int(-(len(text) - wide) // CHARACTERS_A_TOKEN)
