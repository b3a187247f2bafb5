"""Who may answer for what, when two spellings are one person, and on whose behalf an agent acts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.errors import ApprovalError, DeclarationError
from mainspring.guard.people import Needs, People, extend, principals
from mainspring.names import check_person, lookalikes, person_key

PEOPLE = People.of(
    {
        "Ann": {"roles": ["finance"], "limits": {"amount": 1000}},
        "bob": {"roles": ["finance", "legal"], "may_approve": ["pay_*"], "user": "bob"},
        "cid": {"may_approve": False},
    }
)


def test_without_people_any_person_is_accepted() -> None:
    assert People().check(" Somebody ") == "Somebody"
    assert not People()
    for name in ("agent:clerk", "Agent: clerk", "tool:web", "mainspring", "System", "", "\u200b", "x" * 201):
        with pytest.raises(ApprovalError):
            People().check(name)


def test_a_person_is_known_however_the_name_is_written() -> None:
    assert PEOPLE.check("ANN ") == "Ann"
    assert PEOPLE.check("ａｎｎ") == "Ann"
    with pytest.raises(ApprovalError, match="nobody is called 'dan'"):
        PEOPLE.check("dan")


@pytest.mark.parametrize(
    ("amount", "fine"), [(1000, True), (999.5, True), (1000.01, False), ("1", False), (True, False)]
)
def test_limits_hold(amount: object, fine: bool) -> None:
    needs = Needs("pay_out", {"amount": amount, "to": "x"})
    if fine:
        assert PEOPLE.check("ann", needs) == "Ann"
    else:
        with pytest.raises(ApprovalError, match="up to 1000"):
            PEOPLE.check("ann", needs)


@pytest.mark.parametrize("amount", [float("nan"), float("inf"), None, "any", [5, 2000], {}])
def test_a_limit_is_not_passed_by_what_is_no_number(amount: object) -> None:
    with pytest.raises(ApprovalError):
        PEOPLE.check("ann", Needs("pay_out", {"amount": amount}))


def test_tools_accounts_and_approvers() -> None:
    at_desk = {"kind": "cli", "user": "bob"}
    assert PEOPLE.check("bob", Needs("pay_out"), at_desk) == "bob"
    for by, needs, channel, said in (
        ("bob", Needs("send"), at_desk, "may not answer for send"),
        ("bob", Needs("pay_out"), {"kind": "cli", "user": "eve"}, "answers from the account 'bob', not from 'eve'"),
        ("bob", Needs("pay_out"), None, "not from 'nowhere'"),
        ("cid", Needs("pay_out"), None, "may not answer for pay_out"),
        ("ann", Needs("pay_out", {}, ("bob", "cid")), None, "waits for bob or cid"),
    ):
        with pytest.raises(ApprovalError, match=said):
            PEOPLE.check(by, needs, channel)


def test_roles_are_their_holders() -> None:
    assert PEOPLE.who(["role:finance"]) == ("Ann", "bob")
    assert PEOPLE.who(["legal", "ANN", "ann"]) == ("bob", "Ann")
    assert PEOPLE.roles["bob"] == ("finance", "legal")
    for nobody in ("dan", "role:ann", "role:"):
        with pytest.raises(DeclarationError, match="nobody is called"):
            PEOPLE.who([nobody])
    assert People().who(["dan"]) == ("dan",)
    with pytest.raises(DeclarationError):
        People().who(["role:finance"])


@pytest.mark.parametrize(
    "people",
    [
        {"ann": {}, "ANN": {}},
        {"agent:x": {}},
        {"аnn": {}},
        {"ann": {"rights": []}},
        {"ann": {"roles": "finance"}},
        {"ann": {"roles": [1]}},
        {"ann": {"limits": {"amount": "5"}}},
        {"ann": {"limits": {"amount": True}}},
        {"ann": {"limits": [5]}},
        {"ann": {"user": 5}},
        {"ann": {"may_approve": "pay"}},
    ],
)
def test_a_wrong_configuration_is_refused(people: dict[str, object]) -> None:
    with pytest.raises(DeclarationError):
        People.of(people)


def test_chains_only_grow() -> None:
    chain = principals("ann", "clerk")
    assert chain == ("ann", "agent:clerk")
    below = extend(extend(chain, "helper"), "reader")
    assert below == ("ann", "agent:clerk", "agent:clerk/helper", "agent:clerk/helper/reader")
    for bad in ("a/b", "agent:x", "", " "):
        with pytest.raises(DeclarationError):
            extend(chain, bad)
        with pytest.raises(DeclarationError):
            principals("ann", bad)
    with pytest.raises(DeclarationError):
        extend(("ann",), "helper")
    with pytest.raises(ApprovalError):
        principals("agent:clerk", "clerk")


@given(st.text(max_size=40))
def test_a_key_is_its_own_key(name: str) -> None:
    try:
        key = person_key(name)
    except ApprovalError:
        return
    assert person_key(key) == key
    assert person_key("\u200b" + name + " ") == key


@pytest.mark.parametrize("name", ["agent:x", "AGENT:X", "ａｇｅｎｔ：x", "ag\u200bent:x"])
def test_no_spelling_makes_an_agent_a_person(name: str) -> None:
    with pytest.raises(ApprovalError, match="no person"):
        check_person(name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pay pаypal now", "mixes Cyrillic and Latin"),
        ("ann@gооgle.com", "its host is xn--"),
        ("https://аррӏе.com/x", "has letters outside ASCII"),
        ("see xn--80ak6aa92e.com", "is punycode for"),
        ("xn--999999999.com", "punycode"),
    ],
)
def test_look_alikes_are_pointed_out(text: str, said: str) -> None:
    assert any(said in note for note in lookalikes(text)), lookalikes(text)
    assert all(note.isascii() for note in lookalikes(text))


@pytest.mark.parametrize(
    "text", ["ann@example.org", "Zoë Müller", "привет мир", "日本語 text", "α and β", "x" * 1000, ""]
)
def test_ordinary_texts_are_left_alone(text: str) -> None:
    assert lookalikes(text) == []
