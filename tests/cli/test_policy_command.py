"""`mainspring policy check | explain | test`, and the example policy with its tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest

from mainspring.cli.policy import policy
from mainspring.errors import DeclarationError

EXAMPLES = Path(__file__).parents[2] / "examples" / "policy"
PERMIT = "permit (principal, action, resource);"


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    """Run the command as the root command does; its status and what it printed."""
    status = policy.main(args=[str(a) for a in arguments], prog_name="policy", standalone_mode=False)
    return int(status or 0), capsys.readouterr().out


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# --- check


def test_check_says_every_rule_in_words(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "mail.cedar"
    file.write_text(
        '@id("big") @outcome("ask") @people("2") @approvers("ann,bob")\n'
        'permit (principal in Person::"ann", action, resource == Tool::"pay")\n'
        "when { context.known && (context.private || context.outside) }\n"
        'unless { context.mode == "clean" };\n\n'
        'forbid (principal, action, resource in Effect::"irreversible");\n'
        'forbid (principal == Agent::"clerk", action, resource in Server::"bank");\n'
    )
    status, out = run(capsys, "check", file)
    assert status == 0
    assert out.splitlines() == [
        f"{file}:1: mail:big: allow whoever acts for ann the tool pay after 2 of ann, bob say yes "
        'when context.known && (context.private || context.outside) unless context.mode == "clean"',
        f"{file}:6: mail:6: forbid anyone every irreversible tool",
        f"{file}:7: mail:7: forbid agent clerk every tool of the server bank",
    ]


def test_check_says_what_is_wrong_where_and_goes_on(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    good, bad = tmp_path / "good.cedar", tmp_path / "bad.cedar"
    good.write_text(PERMIT)
    bad.write_text(f"{PERMIT}\nforbid (principal, action, resource) when {{\n  context.colour == 1 }};")
    status, out = run(capsys, "check", bad, good, tmp_path / "none.cedar")
    assert status == 1
    wrong, right, missing = out.splitlines()
    assert wrong.startswith(f"error: {bad}:3: attribute `colour`") or wrong.startswith(f"error: {bad}:2: attribute")
    assert right.startswith(f"{good}:1: ")
    assert missing.startswith("error: no policy file at ")


def test_check_limits(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "org.cedar"
    file.write_text(PERMIT)
    assert run(capsys, "check", file)[0] == 0
    status, out = run(capsys, "check", "--limits", file, "--json")
    assert status == 1
    assert lines(out) == [{"file": str(file), "error": f"{file}:1: limits may only forbid; "
                           "what is allowed belongs in the agent's policy"}]  # fmt: skip


def test_check_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    status, out = run(capsys, "check", "--json", EXAMPLES / "office.cedar")
    found = {line["rule"]: line for line in lines(out)}
    assert status == 0
    assert found["office:large-bill"]["people"] == 2
    assert found["office:no-foreign-links"]["outcome"] == "deny"


# --- explain


def test_explain_shows_facts_rules_and_the_smallest_grant(capsys: pytest.CaptureFixture[str]) -> None:
    status, out = run(
        capsys,
        *("explain", "--tool", "send_mail", "--arg", "to=bob@example.com", "--label", "to=tool:inbox"),
        *("--policy", EXAMPLES / "office.cedar", "--limits", EXAMPLES / "company.cedar"),
    )
    assert status == 0
    assert out.startswith("ask: it cannot be undone; to may have been written by tool:inbox; no grant is for this tool")
    assert "  strangers          tool:inbox\n" in out
    assert "policy   office:colleagues: not so: context.strangers.isEmpty() (strangers is tool:inbox)" in out
    assert "limits   company:no-trainee-pays: not so: it is whoever acts for role trainee" in out
    assert "default  default:reads: not so: it is every read tool" in out
    assert out.endswith('smallest grant: send_mail once with to "bob@example.com"\n')


def test_explain_as_json_agrees_with_the_decision(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "p.cedar"
    file.write_text(
        '@id("two") @outcome("ask") @people("2") permit (principal in Person::"ann", action, resource)\n'
        'when { context.number.hasTag("n") && context.number.getTag("n") * 9223372036854775807 > 5 };'
    )
    options = ["explain", "--tool", "pay", "--principal", "ann", "--policy", file, "--json"]
    (found,) = lines(run(capsys, *options, "--arg", "n=1")[1])
    assert (found["decision"]["outcome"], found["decision"]["people"]) == ("ask", 2)
    assert [r["rule"] for r in found["rules"] if r["matched"]] == ["p:two"]
    (failed,) = lines(run(capsys, *options, "--arg", "n=7")[1])
    assert failed["decision"]["outcome"] == "deny"
    assert failed["rules"][0]["why"].startswith("it fails on this call: ")
    (other,) = lines(run(capsys, *options, "--arg", "n=seven")[1])
    assert other["rules"][0]["why"] == 'not so: context.number.hasTag("n")'


def test_explain_takes_every_fact(capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = lines(
        run(
            capsys,
            *("explain", "--tool", "fetch", "--effect", "read", "--outside", "--arg", "url=x", "--joined", "url"),
            *("--arg", "q=y", "--role", "q=payload", "--label", "q=tool:web,user", "--readers", "url=ann,bob"),
            *("--context", "tool:inbox", "--mode", "contained", "--server", "web", "--agent", "clerk", "--json"),
        )[1]
    )
    facts = found["facts"]
    assert (facts["effect"], facts["server"], facts["mode"], facts["outside"]) == ("read", "web", "contained", True)
    assert (facts["payload_strangers"], facts["context_strangers"]) == (["tool:web"], ["tool:inbox"])
    assert (facts["private"], facts["joined_address"], facts["undoable"]) == (True, True, False)
    assert found["decision"]["rules"] == ["default:leaking-address"]
    grant = '{"tool": "pay", "arguments": {"to": ["bob"]}}'
    (granted,) = lines(run(capsys, "explain", "--tool", "pay", "--arg", "to=bob", "--grant", grant, "--json")[1])
    assert granted["decision"]["outcome"] == "allow"
    assert granted["facts"]["recipients_granted"] is True


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--arg", "to"], "write NAME=VALUE"),
        (["--label", "to=user"], "there is no --arg to"),
        (["--grant", "{"], "no JSON"),
        (["--mode", "odd"], "mode must be one of"),
        (["--arg", "a=1", "--role", "a=king"], "role must be"),
        (["--grant", "5"], "not a grant"),
        (["--policy", "/nowhere/x.cedar"], "no policy file"),
    ],
)
def test_explain_says_what_is_wrong(capsys: pytest.CaptureFixture[str], options: list[str], message: str) -> None:
    with pytest.raises((click.UsageError, DeclarationError), match=message):
        run(capsys, "explain", "--tool", "pay", *options)


# --- test


def test_the_example_policy_passes_its_tests(capsys: pytest.CaptureFixture[str]) -> None:
    status, out = run(capsys, "test", EXAMPLES / "office.toml")
    assert status == 0
    assert "FAILED" not in out
    assert out.endswith("16 of 16 cases passed\n")
    assert run(capsys, "check", "--limits", EXAMPLES / "company.cedar")[0] == 0


def test_a_case_that_fails_says_what_came_instead(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "p.cedar").write_text('@id("x") @outcome("ask") @people("2") @approvers("ann,bob") ' + PERMIT)
    file = tmp_path / "t.toml"
    case = '[[case]]\ntool = "pay"\n'
    file.write_text(
        'policy = ["p.cedar"]\n'
        + f'{case}name = "one"\nexpect = "allow"\n'
        + f'{case}expect = "ask"\npeople = 1\n'
        + f'{case}expect = "ask"\napprovers = ["ann"]\n'
        + f'{case}expect = "ask"\nrule = "p:y"\n'
        + f'{case}expect = "ask"\npeople = 2\napprovers = ["bob", "ann"]\nrule = "p:x"\n'
    )
    status, out = run(capsys, "test", "--json", file)
    assert status == 1
    found = lines(out)
    assert [f["passed"] for f in found] == [False, False, False, False, True]
    assert found[0]["wrong"] == "expected allow, got ask: the rule p:x asks before it"
    assert found[0]["case"] == "one"
    assert found[3]["wrong"] == "expected the rule p:y, got p:x"
    status, out = run(capsys, "test", file)
    assert (status, out.count("FAILED"), out.splitlines()[-1]) == (1, 4, "1 of 5 cases passed")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no case"),
        ("x", "no TOML"),
        ("case = []", "holds no case"),
        ("case = [5]", "case 1: write it as"),
        ("colour = 1", "'colour' is unknown"),
        ('[[case]]\ntool = "a"', "case 1: expect must be"),
        ('[[case]]\nexpect = "ask"', "case 1: name the tool"),
        ('[[case]]\nname = "n"\ntool = "a"\nexpect = "ask"\ncolour = 1', r"case 1 \(n\): 'colour' is unknown"),
        ('[[case]]\ntool = "a"\nexpect = "ask"\npeople = "two"', "people must be a number"),
        ('[[case]]\ntool = "a"\nexpect = "ask"\noutside = "yes"', "outside must be true or false"),
        ('[[case]]\ntool = "a"\nexpect = "ask"\narguments = 5', "arguments is a table"),
        ('[[case]]\ntool = "a"\nexpect = "ask"\narguments.to = {valeu = 5}', "argument 'to': 'valeu' is unknown"),
        ('[[case]]\ntool = "a"\nexpect = "ask"\narguments.to = {from = 5}', "from must be a text or a list"),
        ('[[case]]\ntool = "a"\nexpect = "ask"\ngrants = [5]', "not a grant"),
        ('[[case]]\ntool = 5\nexpect = "ask"', "tool must be text"),
        ('policy = "none.cedar"\n[[case]]\ntool = "a"\nexpect = "ask"', "no policy file"),
        ('people = {ann = 5}\n[[case]]\ntool = "a"\nexpect = "ask"', "people says who"),
    ],
)
def test_a_wrong_file_of_cases_says_where(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "t.toml"
    file.write_text(text)
    with pytest.raises(DeclarationError, match=message):
        run(capsys, "test", file)


def test_a_missing_file_and_one_that_is_no_text(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    for name, message in (("none.toml", "cannot be read"), ("bytes.toml", "no TOML")):
        with pytest.raises(DeclarationError, match=message):
            run(capsys, "test", tmp_path / name)


@pytest.mark.parametrize("command", [[], ["check"], ["explain"], ["test"]])
def test_help_has_examples(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    _, out = run(capsys, *command, "--help")
    assert "policy" in out
    assert "Examples:" in out or "[[case]]" in out
