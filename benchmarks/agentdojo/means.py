"""How a planner may come by an argument, in the words of the report; the order of `weakest` is from worst to best."""

from __future__ import annotations

from collections.abc import Iterable

PROMPT, CLOCK, ENUM, SUM, OWN = "the user's words", "date arithmetic", "an enumeration", "arithmetic", "its own words"
SYSTEM, ATTESTED, EACH = "system-made", "attested", "one read an item"
#: How one item is told from its like.
ONLY = "the only item"
SEEN = "chosen by visible fields"
VOUCHED = "chosen by a reader of attested fields"
STEERED = "chosen by a reader of outsiders' text"
DOUBTED = "chosen by such a reader among items that outsiders' text put there"
#: What comes out of outsiders' text.
HANDLE, LINK, TOLD = "an outsider's text as a handle", "a link as it stands", "told by a reader"
COMPOSED, JOINED = "text composed by a reader", "text joined from handles"
UNKNOWN = "a person"

_WORST_FIRST = (UNKNOWN, TOLD, HANDLE, LINK, DOUBTED, STEERED, VOUCHED, SEEN, ATTESTED, SYSTEM)


def weakest(means: Iterable[str]) -> str:
    """The one among several that carries least authority."""
    listed = list(means)
    return next((m for worst in _WORST_FIRST for m in listed if m.endswith(worst)), listed[0])
