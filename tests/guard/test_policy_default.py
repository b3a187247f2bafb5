"""The default policy: what it allows, asks about and denies, and that distrust never widens it."""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mainspring.errors import ApprovalError
from mainspring.guard import Argument, Call, CallContext, Decision, Grant, Policy, decide
from mainspring.guard.cedar import Facts, default_rules, facts_of
from mainspring.label import MODEL, SYSTEM, USER, Label, tool_label

WEB = tool_label("web")
ATTESTED = Label(frozenset({"attested:crm"}))
STEERED = WEB.steering()
FOR_ANN = Label(frozenset({"user"}), frozenset({"ann"}))
CLEAN = CallContext("r", "clerk", 1, USER, "clean", ("ann", "agent:clerk"))
TAINTED = replace(CLEAN, label=WEB)


def send(to: Any = "bob", label: Any = USER, body: Label = MODEL, **changed: Any) -> Call:
    arguments = {"to": Argument(to, label), "body": Argument("hello", body, "payload")}
    return replace(Call("send", "irreversible", False, True, arguments), **changed)


def fetch(label: Label, whole: bool = True, **others: Argument) -> Call:
    return Call("fetch", "read", False, True, {"url": Argument("https://a.example/x", label, whole=whole), **others})


def granted(to: Any, context: CallContext = CLEAN, **limits: Any) -> CallContext:
    return replace(context, grants=(Grant("send", {"to": to}, **limits),))


TABLE: list[tuple[str, Call, CallContext, str, str]] = [
    # reads and the workspace
    ("a read", Call("find", "read", False, False, {"q": Argument("x", WEB)}), TAINTED, "allow", "default:reads"),
    (
        "the workspace",
        Call("edit", "write", True, False, {"path": Argument("x", WEB)}),
        TAINTED,
        "allow",
        "default:workspace",
    ),
    ("undoable, yet outside", Call("push", "write", True, True, {}), CLEAN, "ask", ""),
    ("a write elsewhere", Call("save", "write", False, False, {}), CLEAN, "ask", ""),
    # asking the outside
    ("a host of the user's", fetch(USER), CLEAN, "allow", "default:fetch"),
    ("an attested host", fetch(ATTESTED), CLEAN, "allow", "default:fetch"),
    ("a steered choice", fetch(STEERED), CLEAN, "allow", "default:fetch"),
    ("a stranger's link as it is", fetch(WEB), CLEAN, "allow", "default:fetch-verbatim"),
    ("a stranger's link, tainted", fetch(WEB), TAINTED, "ask", ""),
    ("a trusted link, tainted", fetch(USER), TAINTED, "ask", ""),
    ("joined, nothing private", fetch(WEB, whole=False), CLEAN, "ask", ""),
    ("joined, all trusted", fetch(ATTESTED, whole=False), CLEAN, "ask", ""),
    ("private, whole", fetch(FOR_ANN), CLEAN, "ask", ""),
    ("private and joined", fetch(FOR_ANN, whole=False), CLEAN, "deny", "default:leaking-address"),
    ("a stranger's link that few may read", fetch(WEB.join(FOR_ANN)), CLEAN, "ask", ""),
    ("two strangers' values", fetch(WEB, page=Argument(1, WEB)), CLEAN, "ask", ""),
    ("a stranger's link and a fact", fetch(WEB, q=Argument("x", ATTESTED, "payload")), CLEAN, "ask", ""),
    ("a stranger's link and his text", fetch(WEB, q=Argument("x", WEB, "payload")), CLEAN, "ask", ""),
    (
        "a stranger's link and a literal",
        fetch(WEB, n=Argument(5, MODEL, "payload")),
        CLEAN,
        "allow",
        "default:fetch-verbatim",
    ),
    # what has consequences
    ("no grant", send(), CLEAN, "ask", ""),
    ("granted by name", send(), granted(["bob"]), "allow", "default:granted"),
    ("granted by name, body from outside", send(body=WEB), granted(["bob"], TAINTED), "allow", "default:granted"),
    ("granted to trusted, written by the user", send(), granted("trusted"), "allow", "default:granted"),
    ("granted to trusted, steered", send(label=STEERED), granted("trusted"), "allow", "default:granted"),
    ("granted to trusted, written by a stranger", send(label=WEB), granted("trusted"), "ask", ""),
    ("granted to trusted, context tainted", send(), granted("trusted", TAINTED), "ask", ""),
    ("another recipient", send("eve"), granted(["bob"]), "ask", ""),
    ("expired", send(), granted(["bob"], replace(CLEAN, now=9.0), expires_at=9.0), "ask", ""),
    ("private, granted by name", send(body=FOR_ANN), granted(["bob"]), "allow", "default:granted"),
    ("private, granted to any", send(body=FOR_ANN), granted("any"), "ask", ""),
    ("private, granted to trusted", send(body=FOR_ANN), granted("trusted"), "ask", ""),
    ("private, to its reader", send("ann", body=FOR_ANN), granted("any"), "allow", "default:granted"),
    ("private, to its reader and another", send(["ann", "bob"], body=FOR_ANN), granted("any"), "ask", ""),
    ("private, reader hidden in a structure", send({"ann": ["bob"]}, body=FOR_ANN), granted("any"), "ask", ""),
    (
        "private, to nobody in particular",
        replace(send(body=FOR_ANN), arguments={"a": Argument("x", FOR_ANN, "payload")}),
        granted("any"),
        "ask",
        "",
    ),
    ("for nobody", send("ann", body=Label(frozenset(), frozenset())), granted("any"), "ask", ""),
    # what is not known
    ("no label", send(label=None), granted("any"), "ask", ""),
    ("no label, a read", Call("find", "read", False, False, {"q": Argument("x", None)}), CLEAN, "ask", ""),  # type: ignore[arg-type]
    ("no argument", Call("find", "read", False, False, {"q": "x"}), CLEAN, "ask", ""),  # type: ignore[dict-item]
    ("a new effect", send(effect="teleport"), granted("any"), "ask", ""),
    ("a new mode", send(), replace(granted("any"), mode="odd"), "ask", ""),
    ("a context without label", send(), replace(granted("any"), label=None), "ask", ""),
    ("undoable, in a manner of speaking", Call("edit", "write", "yes", False, {}), CLEAN, "ask", ""),  # type: ignore[arg-type]
    ("outside, not said", Call("find", "read", False, None, {}), CLEAN, "ask", ""),  # type: ignore[arg-type]
    ("no tool's name", Call("a b", "read", False, False, {}), CLEAN, "deny", "name"),
    ("revoked person", send(), replace(granted(["bob"]), revoked=frozenset({"Ann "})), "deny", "revoked"),
    ("revoked agent", send(), replace(granted(["bob"]), revoked=frozenset({"agent:clerk"})), "deny", "revoked"),
    ("somebody else revoked", send(), replace(granted(["bob"]), revoked=frozenset({"tim"})), "allow", ""),
]


@pytest.mark.parametrize(("call", "context", "outcome", "rule"), [c[1:] for c in TABLE], ids=[c[0] for c in TABLE])
def test_the_default(call: Call, context: CallContext, outcome: str, rule: str) -> None:
    decision = decide(call, context)
    assert (decision.outcome, bool(decision.reason)) == (outcome, True), decision
    if rule:
        assert decision.policy == (rule,)
    assert bool(decision.grant) == (outcome == "allow" and "default:granted" in decision.policy)


def test_plain_mode_asks_before_what_cannot_be_undone_unless_a_grant_covers_it() -> None:
    plain = replace(CLEAN, mode="plain")
    assert decide(send(), plain).outcome == "ask"
    decision = decide(send(), granted(["bob"], plain))
    assert (decision.outcome, decision.grant) == ("allow", granted(["bob"]).grants[0].id)


def test_of_two_grants_the_one_that_names_the_recipient_is_taken() -> None:
    wide, exact = Grant("send", {"to": "any"}), Grant("send", {"to": ["bob"]})
    decision = decide(send(body=FOR_ANN), replace(CLEAN, grants=(wide, exact)))
    assert (decision.outcome, decision.grant) == ("allow", exact.id)
    used = decide(send(body=FOR_ANN), replace(CLEAN, grants=(wide, exact), used={exact.id: 1}))
    assert used.outcome == "ask"


def test_the_shortcuts_say_what_the_file_says() -> None:
    """`decide` answers two rules of default.cedar without loading Cedar; for every such call Cedar must agree."""
    labels = [USER, WEB, FOR_ANN, SYSTEM]
    for effect, undoable, label, mode, about in itertools.product(
        ("read", "write"), (True, False), labels, ("plain", "contained", "clean", "tainted"), labels
    ):
        call = Call("x", effect, undoable, False, {"a": Argument("v", label, whole=False)})  # type: ignore[arg-type]
        context = replace(CLEAN, mode=mode, label=about)  # type: ignore[arg-type]
        verdict = default_rules().ask(facts_of(call, context)[0])
        decision = decide(call, context)
        assert decision.outcome == (verdict.outcome or "ask")
        if verdict.rules:
            (rule,) = verdict.rules
            assert (decision.policy, decision.reason) == ((rule.name,), rule.reason)


def test_common_decisions_do_not_load_cedar(tmp_path: Path) -> None:
    program = (
        "import sys; from mainspring.guard import *\n"
        "c = CallContext('r', 'a', 1)\n"
        "assert decide(Call('r', 'read', False, False, {}), c).outcome == 'allow'\n"
        "assert decide(Call('w', 'write', True, False, {}), c, Policy(deny=['x'])).outcome == 'allow'\n"
        "assert 'cedarpy' not in sys.modules\n"
        "assert decide(Call('s', 'irreversible', False, True, {}), c).outcome == 'ask'\n"
        "assert 'cedarpy' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)


# --- nothing that is trusted less is allowed more

SOURCES = st.sampled_from(["user", "model", "system", "person:ann", "made:crm", "attested:crm", "steered:web"])
STRANGERS = st.sampled_from(["tool:web", "paste", "mcp:x", "unheard-of"])
READERS = st.one_of(st.none(), st.frozensets(st.sampled_from(["ann", "bob", "eve"]), max_size=2))
LABELS = st.builds(Label, st.frozensets(st.one_of(SOURCES, STRANGERS), max_size=3), READERS)
WORSE = st.builds(Label, st.frozensets(STRANGERS, max_size=2), READERS)
ARGUMENTS = st.builds(
    Argument,
    st.sampled_from(["ann", "bob", 5, ["ann", "eve"], "https://x.example"]),
    LABELS,
    st.sampled_from(["authority", "selector", "payload"]),
    whole=st.booleans(),
)
GRANTS = st.builds(
    Grant,
    st.just("t"),
    st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["any", "trusted", ["ann"], ["bob", "ann"]])),
)
CALLS = st.builds(
    Call,
    st.just("t"),
    st.sampled_from(["read", "write", "irreversible", "new"]),
    st.booleans(),
    st.booleans(),
    st.dictionaries(st.sampled_from(["a", "b", "c"]), ARGUMENTS, max_size=3),
)
CONTEXTS = st.builds(
    CallContext,
    st.just("r"),
    st.just("clerk"),
    st.just(1),
    LABELS,
    st.sampled_from(["plain", "contained", "clean", "tainted"]),
    st.just(("ann", "agent:clerk")),
    st.lists(GRANTS, max_size=3).map(tuple),
)
RANK = {"deny": 0, "ask": 1, "allow": 2}


@given(CALLS, CONTEXTS, WORSE, st.sampled_from(["a", "b", "c"]), st.booleans(), st.booleans())
@example(fetch(ATTESTED, b=Argument("x", USER, "payload")), CLEAN, WEB, "url", True, False)
def test_less_trust_allows_no_more(
    call: Call, context: CallContext, worse: Label, name: str, broken: bool, everywhere: bool
) -> None:
    before = decide(call, context)
    changed = dict(call.arguments)
    if name in changed:
        old = changed[name]
        changed[name] = replace(old, label=old.label.join(worse), whole=old.whole and not broken)
    read = context.label.join(worse) if everywhere else context.label
    after = decide(replace(call, arguments=changed), replace(context, label=read))
    # A grant may still cover the call, and an outsider's own link may be opened; but nothing that was not allowed is.
    assert after.outcome != "allow" or before.outcome == "allow", (before, after)


@given(CALLS, CONTEXTS)
def test_less_is_allowed_without_grants_and_with_more_effect(call: Call, context: CallContext) -> None:
    outcome = RANK[decide(call, context).outcome]
    assert RANK[decide(call, replace(context, grants=())).outcome] <= outcome
    assert decide(replace(call, effect="new"), context).outcome != "allow"  # type: ignore[arg-type]
    assert decide(replace(call, arguments={"x": object()}), context).outcome != "allow"  # type: ignore[dict-item]
    gone = decide(call, replace(context, revoked=frozenset({"ann"})))
    assert gone.outcome == "deny"


JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.integers(), st.text(max_size=5), st.binary(max_size=3), st.lists(st.none(), max_size=2), st.just({})
)


@given(
    st.builds(Call, JUNK, JUNK, JUNK, JUNK, st.one_of(JUNK, st.dictionaries(st.text(max_size=3), JUNK)), JUNK),
    st.builds(CallContext, JUNK, JUNK, JUNK, JUNK, JUNK, JUNK, JUNK, JUNK, JUNK),
    st.sampled_from([None, Policy(allow=["*"]), Policy.cedar("permit (principal, action, resource);")]),
)
def test_decide_never_raises_and_never_allows_what_it_does_not_know(
    call: Call, context: CallContext, policy: Policy | None
) -> None:
    decision = decide(call, context, policy)
    assert isinstance(decision, Decision)
    assert decision.outcome in ("ask", "deny")
    assert decision.reason


def test_a_policy_of_ones_own_that_breaks_is_no_permission() -> None:
    class Broken:
        def __init__(self, answer: Any) -> None:
            self.answer = answer

        def decide(self, call: Call, context: CallContext) -> Decision:
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer  # type: ignore[no-any-return]

    read = Call("find", "read", False, False, {})
    for answer in (ValueError("the secret 4711"), ApprovalError("4711"), None, True, "allow", Decision("yes", "x")):  # type: ignore[arg-type]
        decision = decide(read, CLEAN, Broken(answer))
        assert decision.outcome == "deny"
        assert "4711" not in decision.reason
    assert decide(read, CLEAN, Broken(Decision("allow", "mine"))).outcome == "allow"
    assert decide(replace(read, effect="new"), CLEAN, Broken(Decision("allow", "mine"))).outcome == "ask"  # type: ignore[arg-type]


MARKER = "zq7marker7qz"


@given(CALLS, CONTEXTS, st.sampled_from(["{}", "x {}\n\x1b[31m", '{}"; permit(principal, action, resource);']))
def test_the_reason_quotes_no_value(call: Call, context: CallContext, frame: str) -> None:
    value = frame.format(MARKER)
    marked = {n: replace(a, value=[value] if n == "b" else value) for n, a in call.arguments.items()}
    grants = (*context.grants, Grant("t", {"a": [value]}), Grant("t", {"a": [value], "b": [value]}))
    for policy in (None, Policy(ask=["t"]), Policy.cedar('forbid (principal, action, resource == Tool::"t");')):
        decision = decide(replace(call, arguments=marked), replace(context, grants=grants), policy)
        assert MARKER not in decision.reason
        assert decision.reason.isprintable()
    odd = decide(
        replace(call, arguments={**marked, f"{value} !": Argument(value, WEB)}), replace(context, grants=grants)
    )
    assert MARKER not in odd.reason  # a name may be a model's words too


def test_the_reason_names_arguments_and_sources() -> None:
    reason = decide(send(label=WEB, body=FOR_ANN), CLEAN).reason
    assert "to may have been written by tool:web" in reason
    assert "body may be read by few" in reason
    assert "no grant is for this tool" in reason
    assert "to is not one of the values" in decide(send("eve"), granted(["bob"])).reason


def test_verbatim_is_about_addresses() -> None:
    assert facts_of(fetch(WEB), CLEAN)[0].verbatim
    assert not facts_of(fetch(USER, text=Argument("x", WEB, "payload")), CLEAN)[0].verbatim


def test_facts_are_as_the_schema_says() -> None:
    schema = (Path(sys.modules[Facts.__module__].__file__ or "").parent / "facts.cedarschema").read_text()
    facts = facts_of(send(), CLEAN)[0].context()
    for name in facts:
        assert f"    {name}: " in schema
