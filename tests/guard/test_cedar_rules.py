"""Cedar rules of an agent's owner and of an organisation: loading, annotations, layers, and what goes wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.errors import DeclarationError
from mainspring.guard import Argument, Call, CallContext, Grant, Policy, decide
from mainspring.guard.cedar import Rules
from mainspring.guard.cedar.facts import amount
from mainspring.guard.policy import Limits
from mainspring.label import USER, Label, tool_label

CONTEXT = CallContext("r", "clerk", 1, USER, "clean", ("ann", "agent:clerk"))
READ = Call("find", "read", False, False, {})


def call(tool: str = "pay", server: str = "", effect: Any = "irreversible", **values: Any) -> Call:
    return Call(tool, effect, False, True, {n: Argument(v, USER) for n, v in values.items()}, server)


def outcome(cedar: str, asked: Call | None = None, context: CallContext = CONTEXT) -> str:
    return decide(asked or call(), context, Policy.cedar(cedar)).outcome


# --- what a policy says


def test_permit_allows_forbid_denies_and_nothing_asks_the_default() -> None:
    assert outcome('permit (principal, action, resource == Tool::"pay");') == "allow"
    assert outcome('forbid (principal, action, resource == Tool::"find");', READ) == "deny"
    assert outcome('forbid (principal, action, resource == Tool::"find");') == "ask"
    assert outcome('permit (principal, action, resource == Tool::"other");', READ) == "allow"


def test_the_strictest_rule_wins() -> None:
    permit, forbid = "permit (principal, action, resource);", "forbid (principal, action, resource);"
    ask = '@outcome("ask") permit (principal, action, resource);'
    for order in (permit + ask, ask + permit):
        assert outcome(order) == "ask"
        assert outcome(order + forbid) == "deny"
        assert outcome(forbid + order) == "deny"


def test_lists_and_rules_together_take_the_strictest() -> None:
    permit, forbid = "permit (principal, action, resource);", "forbid (principal, action, resource);"
    ask = '@outcome("ask") @people("2") permit (principal, action, resource);'
    assert decide(call(), CONTEXT, Policy(allow=["pay"], cedar=forbid)).outcome == "deny"
    assert decide(call(), CONTEXT, Policy(deny=["pay"], cedar=permit)).outcome == "deny"
    assert decide(call(), CONTEXT, Policy(ask=["pay"], cedar=permit)).outcome == "ask"
    asked = decide(call(), CONTEXT, Policy(allow=["pay"], ask=["pay"], cedar=ask))
    assert (asked.outcome, asked.people) == ("ask", 2)


def test_annotations_say_who_is_asked_and_why() -> None:
    decision = decide(
        call(),
        CONTEXT,
        Policy.cedar(
            '@id("big") @outcome("ask") @people("2") @approvers("ann, bob") @reason("it is much")\n'
            "permit (principal, action, resource);"
        ),
    )
    assert (decision.outcome, decision.people, decision.approvers) == ("ask", 2, ("ann", "bob"))
    assert (decision.reason, decision.policy) == ("it is much", ("policy:big",))


def test_rules_that_ask_together_want_the_most_people_whom_all_accept() -> None:
    rule = '@outcome("ask") @people("{}") @approvers("{}") permit (principal, action, resource);'
    two = decide(call(), CONTEXT, Policy.cedar(rule.format(1, "ann,bob,tim") + rule.format(2, "tim,ann")))
    assert (two.outcome, two.people, two.approvers) == ("ask", 2, ("ann", "tim"))
    nobody = decide(call(), CONTEXT, Policy.cedar(rule.format(1, "ann") + rule.format(1, "bob")))
    assert nobody.outcome == "deny"
    few = decide(call(), CONTEXT, Policy.cedar(rule.format(2, "ann,bob") + rule.format(1, "ann,tim")))
    assert few.outcome == "deny"  # two must say yes, and only ann may to both
    anyone = '@outcome("ask") permit (principal, action, resource);'
    assert decide(call(), CONTEXT, Policy.cedar(anyone + rule.format(1, "bob"))).approvers == ("bob",)


def test_principals_are_people_and_agents_that_act_for_them() -> None:
    ann = 'permit (principal in Person::"Ann", action, resource);'
    assert outcome(ann) == "allow"
    assert (
        outcome(ann, context=replace(CONTEXT, principals=("ANN ", "clerk"))) == "allow"
    )  # one person, however written
    assert outcome(ann, context=replace(CONTEXT, principals=("bob", "agent:clerk"))) == "ask"
    assert outcome(ann, context=replace(CONTEXT, principals=("bob", "ann", "agent:clerk"))) == "allow"
    clerk = 'permit (principal == Agent::"clerk", action, resource);'
    assert outcome(clerk) == "allow"
    assert outcome(clerk, context=replace(CONTEXT, agent="other", principals=("ann", "agent:other"))) == "ask"
    boss = 'permit (principal in Agent::"boss", action, resource);'
    assert outcome(boss, context=replace(CONTEXT, principals=("ann", "agent:boss", "agent:clerk"))) == "allow"


def test_roles_come_from_the_configuration() -> None:
    people = {"ann": ["finance"], "tim": ["trainee"]}
    policy = Policy.cedar('permit (principal in Role::"finance", action, resource);', people=people)
    assert decide(call(), CONTEXT, policy).outcome == "allow"
    assert decide(call(), replace(CONTEXT, principals=("tim", "agent:clerk")), policy).outcome == "ask"
    assert decide(call(), replace(CONTEXT, principals=("eve", "agent:clerk")), policy).outcome == "ask"


def test_servers_and_effects_are_groups_of_tools() -> None:
    assert outcome('permit (principal, action, resource in Server::"bank");', call(server="bank")) == "allow"
    assert outcome('permit (principal, action, resource in Server::"bank");', call(server="bonk")) == "ask"
    assert outcome('permit (principal, action, resource in Effect::"irreversible");') == "allow"
    assert outcome('permit (principal, action, resource in Effect::"write");') == "ask"


def test_rules_may_look_at_text_and_numbers() -> None:
    rule = (
        'permit (principal, action, resource) when { context.text.hasTag("to") && '
        'context.text.getTag("to") like "*@example.com" && context.number.hasTag("amount") && '
        'context.number.getTag("amount") <= 10 };'
    )
    assert outcome(rule, call(to="bob@example.com", amount=10)) == "allow"
    for to, much in (("bob@example.com.net", 5), ("bob@example.com", 10.2), (["bob@example.com"], 5), ("", 5)):
        assert outcome(rule, call(to=to, amount=much)) == "ask"
    for much in ("5", None, True, float("nan"), float("inf"), 10**30, [5]):
        assert outcome(rule, call(to="bob@example.com", amount=much)) == "ask"
    # The answer is kept by values as well as by facts.
    policy = Policy.cedar(rule)
    outcomes = [decide(call(to="bob@example.com", amount=n), CONTEXT, policy).outcome for n in (5, 50, 5)]
    assert outcomes == ["allow", "ask", "allow"]


@given(st.one_of(st.integers(), st.floats(allow_nan=False)))
def test_amounts_are_never_rounded_down(value: float) -> None:
    found = amount(value)
    assert found is not None
    assert found >= value or value > (1 << 63) - 1
    if abs(value) < 1 << 52:
        assert found - value <= 1


def test_a_rule_that_looks_at_grants_uses_the_grant_up() -> None:
    grant = Grant("pay", {"to": ["bob"]})
    held = replace(CONTEXT, grants=(grant,))
    asks = Policy.cedar("permit (principal, action, resource) when { context.granted };")
    assert decide(call(to="bob"), held, asks).grant == grant.id
    assert decide(call(to="bob"), held, Policy.cedar("permit (principal, action, resource);")).grant == ""
    assert decide(call(to="eve"), held, asks).outcome == "ask"
    # A limit that only a grant gets past has used it, whatever permits the call in the end.
    limit = Limits("forbid (principal, action, resource) unless { context.granted };")
    allowed = decide(call(to="bob"), held, Policy(allow=["pay"]), limits=limit)
    assert (allowed.outcome, allowed.grant) == ("allow", grant.id)
    spent = replace(held, used={grant.id: 1})
    assert decide(call(to="bob"), spent, Policy(allow=["pay"]), limits=limit).outcome == "deny"


def test_steered_values_can_be_forbidden() -> None:
    steered = Call("pay", "irreversible", False, True, {"to": Argument("bob", tool_label("web").steering())})
    held = replace(CONTEXT, grants=(Grant("pay", {"to": "trusted"}),))
    assert decide(steered, held).outcome == "allow"
    forbid = Policy.cedar('forbid (principal, action, resource) when { context.steered.contains("tool:web") };')
    assert decide(steered, held, forbid).outcome == "deny"


def test_allowing_a_tool_by_name_keeps_the_rules() -> None:
    policy = Policy(ask=["pay"], deny=["wipe"], cedar='forbid (principal, action, resource == Tool::"send");')
    wider = policy.allowing(["pay", "send", "wipe"])
    assert [decide(call(t), CONTEXT, wider).outcome for t in ("pay", "send", "wipe")] == ["allow", "deny", "deny"]
    assert decide(call(), CONTEXT, policy).outcome == "ask"


def test_two_policies_joined_are_as_strict_as_both() -> None:
    mine = Policy(allow=["pay"], cedar='@id("a") permit (principal, action, resource == Tool::"send");')
    yours = Policy(ask=["pay"], cedar='@id("a") forbid (principal, action, resource == Tool::"send");')
    for both in (mine.joined(yours), yours.joined(mine)):
        assert [decide(call(t), CONTEXT, both).outcome for t in ("pay", "send", "other")] == ["ask", "deny", "ask"]
    for both in (mine.joined(Policy(deny=["pay"])), Policy(deny=["pay"]).joined(mine)):
        assert [decide(call(t), CONTEXT, both).outcome for t in ("pay", "send")] == ["deny", "allow"]
    assert decide(call("send"), CONTEXT, mine).outcome == "allow"


# --- limits


def test_limits_may_only_forbid() -> None:
    with pytest.raises(DeclarationError, match=r"policy:2: limits may only forbid"):
        Limits("forbid (principal, action, resource);\npermit (principal, action, resource);")


def test_several_files_of_limits_all_hold(tmp_path: Path) -> None:
    for folder, tool in (("a", "pay"), ("b", "send")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "org.cedar").write_text(
            f'@id("no") forbid (principal, action, resource == Tool::"{tool}");'
        )
    limits = Limits([tmp_path / "a" / "org.cedar", tmp_path / "b" / "org.cedar"])
    found = [decide(call(t), CONTEXT, Policy(allow=["*"]), limits=limits) for t in ("pay", "send", "find")]
    assert [d.outcome for d in found] == ["deny", "deny", "allow"]
    assert [d.policy for d in found[:2]] == [("org:no",), ("org:no#2",)]


def test_a_rule_that_fails_denies() -> None:
    """Cedar leaves a failing `forbid` out and allows; here the call is refused."""
    overflow = 'context.number.hasTag("n") && context.number.getTag("n") * 9223372036854775807 > 1'
    limits = Limits(f"forbid (principal, action, resource) when {{ {overflow} }};")
    denied = decide(call(n=5), CONTEXT, Policy(allow=["pay"]), limits=limits)
    assert (denied.outcome, denied.policy) == ("deny", ("policy:1",))
    assert "policy:1 failed" in denied.reason
    assert decide(call(n=0), CONTEXT, Policy(allow=["pay"]), limits=limits).outcome == "allow"
    permit = Policy.cedar(f"permit (principal, action, resource) when {{ {overflow} }};")
    assert decide(call(n=5), CONTEXT, permit).outcome == "deny"


# --- what is wrong with a policy is said when it is loaded

WRONG: list[tuple[str, str]] = [
    ("permit (principal, action, resource) when { context.foo == 1 };", r":3: attribute `foo` in context"),
    ("permit (principal, action, resource)", r":3: this rule does not end"),
    ('permit (principal, action, resource) when { "abc };', r":3: a string is not closed"),
    ("permit (principle, action, resource);", r":3: .*principle"),
    ("permit (principal,\naction,\nresurce);", r":5: .*resurce"),
    ("hello;", r":3: unexpected token"),
    (";", r":3: "),
    ("permit (principal, action, resource) forbid (principal, action, resource);", r":3: "),
    ("permit (principal == ?principal, action, resource);", r":3: .*template"),
    ('permit (principal, action == Action::"buy", resource);', r":3: .*Action::\"buy\""),
    ('permit (principal in Tool::"x", action, resource);', r":3: "),
    ('permit (principal in Nobody::"x", action, resource);', r":3: .*Nobody"),
    ('forbid (principal, action, resource in Effect::"irreversable");', r":3: there is no effect 'irreversable'"),
    ('permit (principal, action, resource) when { context.number.getTag("x") > 1 };', r":3: .*tag"),
    ("permit (principal, action, resource) when { context.strangers == 5 };", r":3: .*types"),
    ('@outcom("ask") permit (principal, action, resource);', r":3: @outcom is unknown"),
    ('@outcome("deny") permit (principal, action, resource);', r':3: @outcome\("deny"\) is unknown'),
    ("@outcome permit (principal, action, resource);", r":3: @outcome"),
    ('@outcome("ask") forbid (principal, action, resource);', r":3: @outcome is unknown; a forbid"),
    ('@people("2") permit (principal, action, resource);', r":3: @people .*@outcome"),
    ('@outcome("ask") @people("0") permit (principal, action, resource);', r":3: @people"),
    ('@outcome("ask") @people("²") permit (principal, action, resource);', r":3: @people"),
    ('@outcome("ask") @people("999999999999999999999999") permit (principal, action, resource);', r":3: @people"),
    ('@outcome("ask") @people("3") @approvers("a,b") permit (principal, action, resource);', r":3: 3 people .* only 2"),
    ('@outcome("ask") @approvers("ann,Ann ") permit (principal, action, resource);', r":3: @approvers"),
    ('@outcome("ask") @approvers("") permit (principal, action, resource);', r":3: "),
    ('@id("a b") permit (principal, action, resource);', r":3: @id"),
    ('@id("a") @id("b") permit (principal, action, resource);', r":3: duplicate"),
    ('@reason("a\\nb") permit (principal, action, resource);', r":3: @reason"),
    (
        '@id("x") permit (principal, action, resource);\n@id("x") permit (principal, action, resource);',
        r":4: the name 'p:x' is used twice",
    ),
    ('permit (principal in Person::"ann\u0430", action, resource);', r":3: .*mixes"),
    ("permit (principal, action, resource) when { " + "(" * 5000 + "true" + ")" * 5000 + " };", r":3: more than 24"),
    ("permit (principal, action, resource) when { " + "true && " * 2000 + "true };", r":3: .*too long"),
    ("permit (principal, action, resource) when { " + "!" * 900 + "true };", r":3: too many"),
    ("permit (principal, action, resource) when { " + "true &&" * 9000 + "true };", r":3: a rule has at most"),
    ("forbid (principal, action, resource);\n" * 2001, r":2003: a file has at most"),
    ("// nothing", r"holds no rule"),
    ("", r"holds no rule"),
]


@pytest.mark.parametrize(("rule", "message"), WRONG, ids=[m[:40] for _, m in WRONG])
def test_a_wrong_rule_is_found_with_its_place(tmp_path: Path, rule: str, message: str) -> None:
    file = tmp_path / "p.cedar"
    file.write_text(f"// comment; with a semicolon\n\n{rule}\n", encoding="utf-8")
    with pytest.raises(DeclarationError, match=message) as caught:
        Policy.cedar(file)
    assert str(caught.value).startswith(str(file))


def test_what_is_no_readable_file(tmp_path: Path) -> None:
    bad = tmp_path / "bad.cedar"
    bad.write_bytes(b"// fine\n\xff permit")
    with pytest.raises(DeclarationError, match=r"bad.cedar:2: not UTF-8 \(byte 0xff\)"):
        Policy.cedar(bad)
    (tmp_path / "huge.cedar").write_bytes(b" " * (1 << 20) + b";")
    (tmp_path / "empty.cedar").write_text("")
    for name, message in (("huge", "at most 1,048,576 bytes"), ("empty", "empty"), ("none", "no policy file")):
        with pytest.raises(DeclarationError, match=message):
            Policy.cedar(tmp_path / f"{name}.cedar")
    for value in (5, None, b"permit", tmp_path, "\0", " "):
        with pytest.raises((DeclarationError, TypeError)):
            Policy.cedar(value)  # type: ignore[arg-type]


def test_text_and_files_are_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "p.cedar"
    file.write_text("\ufeffpermit (principal, action, resource);", encoding="utf-8")
    for source in (file, str(file), "permit (principal, action, resource);", [str(file)]):
        assert decide(call(), CONTEXT, Policy.cedar(source)).outcome == "allow"  # type: ignore[arg-type]


def test_nobody_unknown_is_named_where_people_are_known() -> None:
    people = {"Ann": ["finance"], "bob": []}
    Policy.cedar(
        '@outcome("ask") @approvers("ann") permit (principal in Person::"ANN", action, resource);', people=people
    )
    for rule, message in (
        ('permit (principal in Person::"zed", action, resource);', r"policy:1: nobody is called 'zed'.* ann, bob"),
        (
            '@outcome("ask") @approvers("zed") permit (principal, action, resource);',
            r"policy:1: nobody is called 'zed'",
        ),
        ('forbid (principal in Role::"boss", action, resource);', r"nobody has the role 'boss'; there are finance"),
        ('forbid (principal, action, resource) when { principal in Person::"zed" };', r"nobody is called 'zed'"),
    ):
        with pytest.raises(DeclarationError, match=message):
            Policy.cedar(rule, people=people)


@given(st.text(alphabet='permit forbid(){}[]"\\;/@principal, action resource whn\n', max_size=120))
def test_no_text_breaks_the_loader(text: str) -> None:
    try:
        rules = Rules([text + "\n"])
    except DeclarationError:
        return
    assert len(rules.rules) >= 1


@given(st.text(max_size=12), st.text(max_size=12))
def test_rules_are_cut_where_cedar_cuts_them(words: str, comment: str) -> None:
    """Strings and comments may hold anything: semicolons, quotes, rules."""
    quoted = "".join(f"\\u{{{ord(c):x}}}" if c in '"\\\n\r' or ord(c) < 32 else c for c in words)
    remark = comment.replace("\n", " ").replace("\r", " ")
    condition = f'context.server == "{quoted}; forbid (principal, action, resource);"'
    text = f'permit (principal, action, resource) // {remark} ; "\nwhen {{ {condition} }};\n' * 2
    try:
        rules = Rules([text]).rules
    except DeclarationError:  # characters that Cedar has no place for
        return
    assert [r.outcome for r in rules] == ["allow", "allow"]
    assert [r.piece.line for r in rules] == [1, 3]


def test_one_label_less_is_not_one_more() -> None:
    """An argument for nobody's eyes and one for all are not the same."""
    shut, open_ = Label(frozenset({"user"}), frozenset()), USER
    policy = Policy.cedar("permit (principal, action, resource) when { !context.private };")
    for label, expected in ((shut, "ask"), (open_, "allow")):
        asked = Call("pay", "irreversible", False, True, {"to": Argument("bob", label)})
        assert decide(asked, CONTEXT, policy).outcome == expected
