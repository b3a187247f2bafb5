"""Which label a document gets: a stranger's unless a person says otherwise, and never cleaner by itself."""

from __future__ import annotations

from dataclasses import dataclass

from mainspring.label import USER, Label

#: Under what an indexed text may have been written when nobody vouches for it.
STRANGER = Label(frozenset({"library"}))


@dataclass(frozen=True, slots=True)
class Vouched:
    """What the person who indexes says of the documents.

    Args:
        trust: the words are their own: no outsider can have written them.
        readers: who may read them; None says nothing.
        by: who says so.
    """

    trust: bool = False
    readers: frozenset[str] | None = None
    by: str = ""


def first_label(said: Vouched) -> Label:
    """The label of a document that is new."""
    return Label((USER if said.trust else STRANGER).sources, said.readers)


def next_label(before: Label, said: Vouched, changed: bool) -> Label:
    """The label of a document that is indexed again.

    Only `trust` makes it cleaner. Without it, bytes that changed since may be a stranger's, and readers only become
    fewer; a person who vouches for a document may also name other readers.
    """
    if said.trust:
        return Label(USER.sources, before.readers if said.readers is None else said.readers)
    sources = before.sources | STRANGER.sources if changed else before.sources
    return Label(sources, before.readers).join(Label(frozenset(), said.readers))
