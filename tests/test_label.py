"""Labels form a lattice under join, and come back from the journal as they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.errors import StoreError
from mainspring.label import MODEL, SYSTEM, USER, Label, tool_label

NAMES = st.frozensets(st.sampled_from(["user", "system", "model", "tool:a", "tool:b", ""]) | st.text(max_size=3))
LABELS = st.builds(Label, NAMES, st.none() | NAMES)


def below(lower: Label, upper: Label) -> bool:
    """True when `upper` is at least as tainted and at most as readable."""
    return lower.sources <= upper.sources and (
        lower.readers is None or (upper.readers is not None and upper.readers <= lower.readers)
    )


@given(LABELS, LABELS, LABELS)
def test_join_is_a_least_upper_bound(a: Label, b: Label, c: Label) -> None:
    assert a.join(b) == b.join(a)
    assert a.join(b).join(c) == a.join(b.join(c))
    assert a.join(a) == a
    assert a.join(SYSTEM) == SYSTEM.join(a) == a
    assert below(a, a.join(b))
    assert below(b, a.join(b))
    assert below(a.join(c), a.join(b).join(c))  # monotone
    if below(a, c) and below(b, c):
        assert below(a.join(b), c)


def test_join_means_what_it_says() -> None:
    secret = Label(frozenset({"user"}), frozenset({"ann", "bob"}))
    page = Label(frozenset({"tool:web"}), frozenset({"bob", "cyd"}))
    assert secret.join(page) == Label(frozenset({"user", "tool:web"}), frozenset({"bob"}))
    assert secret.join(MODEL).readers == frozenset({"ann", "bob"})
    nobody = Label(readers=frozenset({"ann"})).join(Label(readers=frozenset({"bob"})))
    assert nobody.readers == frozenset()  # nobody, which is not None: anyone
    assert tool_label("web").sources == page.sources
    assert USER.join(MODEL).sources == {"user", "model"}


@given(LABELS)
def test_encode_and_decode(label: Label) -> None:
    assert Label.decode(label.encode()) == label
    label.encode().encode("utf-8")


@given(NAMES)
def test_the_same_label_is_written_the_same_way(names: frozenset[str]) -> None:
    assert Label(frozenset(sorted(names))).encode() == Label(frozenset(sorted(names, reverse=True))).encode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "5",
        "null",
        "{}",
        '{"sources":null}',
        '{"sources":"user"}',
        '{"sources":[1]}',
        '{"sources":{"user":1}}',
        '{"sources":[],"readers":"ann"}',
        '{"sources":[],"readers":[null]}',
        '{"sources":[["user"]]}',
        "[" * 100_000,
    ],
)
def test_what_is_no_label_is_refused(text: str) -> None:
    with pytest.raises(StoreError, match="not a label"):
        Label.decode(text)
