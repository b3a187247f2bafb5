"""The plain policy: what it allows, asks about and denies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.errors import DeclarationError
from mainspring.guard import Call, CallContext, Policy, decide
from mainspring.label import USER, Label

CONTEXT = CallContext("r", "clerk", 1, USER)


def call(tool: str = "mail_send", effect: Any = "irreversible", undoable: bool = False) -> Call:
    return Call(tool, effect, undoable, effect != "read" and not undoable, {})


@pytest.mark.parametrize(
    ("effect", "undoable", "outcome"),
    [
        ("read", False, "allow"),
        ("read", True, "allow"),
        ("write", True, "allow"),
        ("write", False, "ask"),
        ("irreversible", False, "ask"),
        ("irreversible", True, "ask"),
        ("something new", True, "ask"),
        (None, True, "ask"),
    ],
)
def test_what_no_list_names_is_decided_by_its_effect(effect: Any, undoable: bool, outcome: str) -> None:
    decision = decide(call(effect=effect, undoable=undoable), CONTEXT)
    assert decision.outcome == outcome
    assert decision.reason
    assert Policy().decide(call(effect=effect, undoable=undoable), CONTEXT) == decision


def test_deny_wins_over_ask_and_ask_over_allow() -> None:
    everything = Policy(allow=["*"], ask=["mail_*"], deny=["mail_delete"])
    assert everything.decide(call("mail_delete", "read"), CONTEXT).outcome == "deny"
    assert everything.decide(call("mail_read", "read"), CONTEXT).outcome == "ask"
    assert everything.decide(call("pay"), CONTEXT).outcome == "allow"


def test_the_reason_names_the_rule() -> None:
    policy = Policy(deny="mail_*")
    assert "'mail_*'" in decide(call("mail_send"), CONTEXT, policy).reason


@pytest.mark.parametrize("name", ["Mail_send", "mail", "xmail_send"])
def test_patterns_match_whole_names_and_their_case(name: str) -> None:
    assert Policy(allow="mail_*").decide(call(name), CONTEXT).outcome == "ask"


@given(st.text(max_size=5), st.lists(st.text(min_size=1, max_size=4), max_size=3))
def test_a_denied_pattern_is_never_allowed(tool: str, patterns: list[str]) -> None:
    allowed = Policy(allow=["*"], deny=patterns).decide(call(tool), CONTEXT)
    alone = Policy(deny=patterns).decide(call(tool, "read"), CONTEXT)
    assert (allowed.outcome == "deny") == (alone.outcome == "deny")
    if tool in patterns and not set(tool) & set("*?["):
        assert allowed.outcome == "deny"


@given(st.frozensets(st.text(max_size=4), max_size=3))
def test_no_label_widens_the_plain_policy(sources: frozenset[str]) -> None:
    tainted = Call("pay", "irreversible", False, ("to",), {"to": "x"}, Label(sources))
    assert decide(tainted, CallContext("r", "clerk", 1, Label(sources))).outcome == "ask"


@pytest.mark.parametrize("value", [[5], [None], [""], "", ["mail", b"pay"], 5, None])
def test_lists_of_something_else_are_refused(value: Any) -> None:
    for which in ("allow", "ask", "deny"):
        with pytest.raises(DeclarationError, match=rf"Policy\({which}=\.\.\.\)"):
            Policy(**{which: value})
