"""An agent can be found again from what was journaled about where it came from."""

from pathlib import Path

import pytest

from mainspring.cli.origin import Origin, builtin, load, parse, split
from mainspring.errors import DeclarationError

ONE = """
from mainspring import Agent, Policy, ScriptedModel, tool

@tool
def pay(to: str) -> str:
    return "paid"

@tool
def wipe() -> str:
    return "wiped"

worker = Agent("worker", model=ScriptedModel(["hello"]), tools=[pay, wipe], policy=Policy(ask=["pay"], deny=["wipe"]))
"""


def write(folder: Path, text: str, name: str = "agents.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "origin",
    [
        Origin("/a/b.py", "agent"),
        Origin("/a b/c?d%e:f/ü.py", "agent", options={"allow": "pay,wipe", "model": "http://x/v1#m?&"}),
        builtin("openai:x@http://host:1/v1", "none", "high"),
    ],
)
def test_an_origin_survives_being_written_down(origin: Origin) -> None:
    assert parse(origin.encode()) == origin


def test_a_plain_origin_reads_as_a_path() -> None:
    assert Origin("/home/ann/my agent.py", "agent").encode() == "/home/ann/my agent.py:agent"
    assert builtin("local").encode() == "builtin:coding?model=local&tools=coding"


def test_unknown_options_are_refused_not_ignored() -> None:
    with pytest.raises(DeclarationError, match="newer"):
        parse("/a.py:agent?sandbox=off")


@pytest.mark.parametrize(
    ("text", "place", "attribute"),
    [
        ("a.py", "a.py", None),
        ("a.py:clerk", "a.py", "clerk"),
        ("odd:name.py", "odd:name.py", None),
        ("odd:name.py:clerk", "odd:name.py", "clerk"),
    ],
)
def test_what_a_person_types(text: str, place: str, attribute: str | None) -> None:
    assert split(text) == Origin(place, attribute)


def test_the_only_agent_is_found_and_remembers_its_place(tmp_path: Path) -> None:
    path = write(tmp_path, ONE)
    agent = load(split(str(path)))
    assert agent.name == "worker"
    assert agent.origin == f"{path}:worker"
    assert load(parse(agent.origin)).name == "worker"


def test_model_effort_and_allow_are_changed_and_remembered(tmp_path: Path) -> None:
    path = write(tmp_path, ONE)
    agent = load(Origin(str(path), options={"model": "openai:gpt-5", "effort": "high", "allow": "pay,wipe"}))
    again = load(parse(agent.origin))
    for made in (agent, again):
        assert made.models == ("openai:gpt-5",)
        assert made.effort == "high"
        assert made.policy.allow == ("pay", "wipe")
        assert made.policy.ask == ()
        assert made.policy.deny == ("wipe",)  # a declaration's no is not overruled from the command line


def test_allow_names_a_tool_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="'pay'"):
        load(Origin(str(write(tmp_path, ONE)), options={"allow": "psy"}))


def test_agent_named_agent_wins_and_several_must_be_chosen_from(tmp_path: Path) -> None:
    two = 'from mainspring import Agent\na = Agent("a", model="local")\n{} = Agent("b", model="local")\n'
    assert load(split(str(write(tmp_path, two.format("agent"))))).name == "b"
    path = write(tmp_path, two.format("b"), "two.py")
    with pytest.raises(DeclarationError, match=r"several agents.*two\.py:a.*two\.py:b"):
        load(split(str(path)))
    assert load(split(f"{path}:b")).name == "b"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x = 1\n", "declares no Agent"),
        ("x = 1\ny = (\n", "line 2: SyntaxError"),
        ("x = 1\nraise ValueError('no')\n", "line 2: ValueError: no"),
        ("import sys\nsys.exit('bye')\n", "line 2: SystemExit: bye"),
        ("import nothing_called_this\n", "line 1: ModuleNotFoundError"),
    ],
)
def test_a_broken_agent_file_says_where(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(DeclarationError, match=complaint):
        load(split(str(write(tmp_path, text))))


def test_a_missing_file_a_wrong_name_and_a_wrong_thing(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"no agent file at .*nowhere\.py"):
        load(split(str(tmp_path / "nowhere.py")))
    path = write(tmp_path, ONE)
    with pytest.raises(DeclarationError, match="has nothing called 'clerk'"):
        load(split(f"{path}:clerk"))
    with pytest.raises(DeclarationError, match="has a Tool called 'pay'"):
        load(split(f"{path}:pay"))
    with pytest.raises(DeclarationError, match=r"its name must end in \.py"):
        load(split(str(write(tmp_path, ONE, "agents.txt"))))


def test_an_agent_file_may_import_its_neighbours(tmp_path: Path) -> None:
    write(tmp_path, 'NAME = "neighbour"\n', "beside_the_agent.py")
    path = write(
        tmp_path,
        'from mainspring import Agent\nfrom beside_the_agent import NAME\nagent = Agent(NAME, model="local")\n',
    )
    assert load(split(str(path))).name == "neighbour"


def test_the_plain_default_agent() -> None:
    agent = load(builtin("local", "none", "low"))
    assert (agent.name, agent.models, agent.effort, agent.tools) == ("assistant", ("local",), "low", {})
    assert load(parse(agent.origin)).digest() == agent.digest()
    with pytest.raises(DeclarationError, match="no built-in agent 'x'"):
        load(parse("builtin:x"))


def test_guard_reader_and_grants_are_changed_and_remembered(tmp_path: Path) -> None:
    path = write(tmp_path, ONE)
    options = {"guard": "clean", "reader": "local:0.5b", "grant": "pay to=ann to='bob b' x3\npay to=trusted"}
    agent = load(Origin(str(path), options=options))
    for made in (agent, load(parse(str(agent.origin)))):
        assert (made.guard, made.reader) == ("clean", "local:0.5b")
        assert [(g.arguments, g.count) for g in made.grants or ()] == [
            ({"to": ("ann", "bob b")}, 3),
            ({"to": "trusted"}, 1),
        ]
    with pytest.raises(DeclarationError, match="guard 'off' is unknown"):
        load(Origin(str(path), options={"guard": "off"}))


def test_values_of_a_grant_have_the_type_that_the_tool_takes(tmp_path: Path) -> None:
    text = ONE.replace("def pay(to: str)", "def pay(to: str, amount: float, tags: list[str] | None = None)")
    agent = load(Origin(str(write(tmp_path, text)), options={"grant": "pay to=12 amount=5 amount=7.5 tags=3"}))
    assert agent.grants is not None
    assert agent.grants[0].arguments == {"to": ("12",), "amount": (5, 7.5), "tags": ("3",)}
    with pytest.raises(DeclarationError, match="NaN is no value"):
        load(Origin(str(tmp_path / "agents.py"), options={"grant": "pay amount=NaN"}))


def test_allow_keeps_the_rules_of_a_policy(tmp_path: Path) -> None:
    text = ONE.replace('Policy(ask=["pay"], deny=["wipe"])', 'Policy.cedar("forbid(principal, action, resource);")')
    agent = load(Origin(str(write(tmp_path, text)), options={"allow": "pay"}))
    assert agent.policy is not None
    assert agent.policy.rules is not None
    assert agent.policy.allow == ("pay",)
