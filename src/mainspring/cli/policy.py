"""`mainspring policy`: check, explain and test policies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.group import LazyGroup
from mainspring.cli.output import Output
from mainspring.cli.render import columns, safe
from mainspring.cli.status import FAILED
from mainspring.errors import DeclarationError

if TYPE_CHECKING:
    from mainspring.guard.cedar.explain import Match
    from mainspring.guard.decision import Decision
    from mainspring.guard.policy import Limits, Policy

_HERE = "mainspring.cli.policy"
_FILE = click.Path(path_type=Path)


@click.group(
    cls=LazyGroup,
    invoke_without_command=False,
    lazy={
        "check": (f"{_HERE}:check", "Find what is wrong with policy files, and say the rest in words."),
        "explain": (f"{_HERE}:explain", "Decide a call that you describe, and say why."),
        "test": (f"{_HERE}:test", "Run a file of cases: calls, and what must be decided."),
    },
)
def policy() -> None:
    """Check, explain and test policies.

    A policy is a file of Cedar rules. docs/policy.md says what they may speak of and what holds without one.

    \b
    Examples:
      mainspring policy check mail.cedar
      mainspring policy check --limits company.cedar
      mainspring policy explain --tool send_mail --arg to=bob@example.com --label to=tool:inbox
      mainspring policy test mail.toml
    """


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_FILE)
@click.option("--limits", is_flag=True, help="They are an organisation's limits, which may only forbid.")
@json_option
def check(files: tuple[Path, ...], limits: bool, json_: bool) -> int:
    """Find what is wrong with policy files, and say the rest in words.

    Exit status 1 when a file is wrong; each error says file and line.

    \b
    Examples:
      mainspring policy check mail.cedar
      mainspring policy check --limits company.cedar finance.cedar
    """
    from mainspring.guard.cedar.explain import in_words
    from mainspring.guard.cedar.rules import Rules

    output = Output.plain()
    wrong = 0
    for file in files:
        try:
            rules = Rules([file], limits=limits).rules
        except DeclarationError as error:
            wrong += 1
            if json_:
                output.json({"file": str(file), "error": str(error)})
            else:
                output.text(f"error: {error}")
            continue
        for rule in rules:
            if json_:
                output.json(
                    {"file": str(file), "line": rule.piece.line, "rule": rule.name, "outcome": rule.outcome}
                    | {"people": rule.people, "approvers": list(rule.approvers), "reason": rule.reason}
                    | {"words": in_words(rule)}
                )
            else:
                output.text(f"{rule.place}: {rule.name}: {in_words(rule)}")
    return FAILED if wrong else 0


@click.command()
@click.option("--tool", required=True, metavar="NAME", help="The tool that is called.")
@click.option("--effect", default="irreversible", show_default=True, metavar="E", help="read, write or irreversible.")
@click.option("--undoable", is_flag=True, help="It stays in the workspace and can be undone.")
@click.option("--outside/--inside", default=None, help="It tells somebody outside (default: unless it only reads).")
@click.option("--server", default="", metavar="NAME", help="The MCP server that the tool belongs to.")
@click.option("--arg", "args", multiple=True, metavar="NAME=VALUE", help="An argument: JSON, or else text.")
@click.option("--label", "labels", multiple=True, metavar="NAME=SOURCE,...", help="Who may have written it (user).")
@click.option("--readers", multiple=True, metavar="NAME=WHO,...", help="Who may read it (anyone).")
@click.option("--role", "roles", multiple=True, metavar="NAME=ROLE", help="authority (default), selector or payload.")
@click.option("--joined", multiple=True, metavar="NAME", help="This argument was put together from several values.")
@click.option("--context", default="user", show_default=True, metavar="SOURCE,...", help="What the model has read.")
@click.option("--mode", default="clean", show_default=True, metavar="M", help="plain, contained, clean or tainted.")
@click.option("--principal", "principals", multiple=True, metavar="NAME", help="For whom the agent acts.")
@click.option("--agent", default="agent", show_default=True, metavar="NAME", help="The agent that calls.")
@click.option("--grant", "grants", multiple=True, metavar="JSON", help='{"tool": NAME, "arguments": {...}}.')
@click.option("--policy", "files", multiple=True, type=_FILE, metavar="FILE", help="The agent's own rules.")
@click.option("--limits", multiple=True, type=_FILE, metavar="FILE", help="The organisation's limits.")
@json_option
def explain(tool: str, json_: bool, files: tuple[Path, ...], limits: tuple[Path, ...], **said: Any) -> None:
    """Decide a call that you describe, and say why.

    Shows the decision, the facts that rules see, each rule with what keeps it from matching, and the smallest grant
    that would cover the call.

    \b
    Examples:
      mainspring policy explain --tool fetch --effect read --outside --arg url=https://example.com
      mainspring policy explain --tool pay --arg amount=1200 --label amount=tool:inbox --policy pay.cedar
    """
    from mainspring.guard.cedar.cases import call_of, context_of
    from mainspring.guard.cedar.explain import fact_text, matches
    from mainspring.guard.cedar.facts import facts_of, values_of
    from mainspring.guard.cedar.rules import default_rules
    from mainspring.guard.grants import smallest_grant
    from mainspring.guard.policy import decide

    described = _described(tool, said)
    call, context = call_of(described, "the call"), context_of(described, "the call")
    own, above = _load(files, limits, None)
    decision = decide(call, context, own, limits=above)
    facts, values = facts_of(call, context)[0], values_of(call)
    layers = [("limits", above.rules if above else None), ("policy", own.rules), ("default", default_rules())]
    found = [m for layer, rules in layers if rules is not None for m in matches(layer, rules, facts, values)]
    grant = smallest_grant(call)
    output = Output.plain()
    if json_:
        output.json(
            {"decision": _as_json(decision), "facts": facts.context(), "rules": [_match_json(m) for m in found]}
            | {"smallest_grant": grant.encode()}
        )
        return
    output.text(f"{decision.outcome}: {decision.reason}")
    if decision.outcome == "ask":
        output.text(f"  people: {decision.people}, {', '.join(decision.approvers) or 'anyone'}")
    if decision.policy:
        output.text(f"  decided by: {', '.join(decision.policy)}")
    output.text("\nfacts")
    output.text("\n".join(f"  {name:<18} {fact_text(value)}" for name, value in facts.context().items()))
    output.text("\nrules, the strictest first: limits, the agent's own, the default")
    output.text("\n".join(f"  {_line(m)}" for m in found))
    if decision.outcome == "ask":
        output.text(f"\nsmallest grant: {safe(grant.shown(), exact=True)}")


@click.command()
@click.argument("files", metavar="FILE.toml...", nargs=-1, required=True, type=_FILE)
@json_option
def test(files: tuple[Path, ...], json_: bool) -> int:
    """Run a file of cases: calls, and what must be decided.

    The file names the policy and limits that it is about, relative to itself. Exit status 1 when a case fails.

    \b
    policy = "mail.cedar"
    [[case]]
    name = "an address from a stranger's mail asks"
    tool = "send_mail"
    arguments.to = { value = "eve@example.net", from = "tool:inbox" }
    expect = "ask"
    """
    from mainspring.guard.cedar.cases import read_cases
    from mainspring.guard.policy import decide

    output = Output.plain()
    rows, failed = [], 0
    for file in files:
        cases = read_cases(file)
        own, above = _load(cases.policy, cases.limits, cases.people)
        for case in cases.cases:
            decision = decide(case.call, case.context, own, limits=above)
            wrong = case.wrong(decision)
            failed += bool(wrong)
            if json_:
                output.json(
                    {"file": str(file), "case": case.name, "passed": not wrong, "wrong": wrong}
                    | {"decision": _as_json(decision)}
                )
            rows.append(("FAILED" if wrong else "passed", decision.outcome, safe(case.name), wrong))
    if not json_:
        output.text("\n".join(columns(rows, ("RESULT", "DECISION", "CASE", "WHAT IS WRONG"))))
        output.text(f"\n{len(rows) - failed} of {len(rows)} cases passed")
    return FAILED if failed else 0


def _load(policy: tuple[Path, ...], limits: tuple[Path, ...], people: Any) -> tuple[Policy, Limits | None]:
    from mainspring.guard.policy import Limits, Policy

    return Policy(cedar=policy, people=people), Limits(limits, people=people) if limits else None


def _described(tool: str, said: dict[str, Any]) -> dict[str, Any]:
    """The options as a case."""
    arguments: dict[str, dict[str, Any]] = {}
    for name, value in _pairs("--arg", said["args"]):
        arguments[name] = {"value": _value(value)}
    for option, key, pairs in (
        ("--label", "from", _pairs("--label", said["labels"])),
        ("--readers", "readers", _pairs("--readers", said["readers"])),
        ("--role", "role", _pairs("--role", said["roles"])),
        ("--joined", "joined", [(name, "") for name in said["joined"]]),
    ):
        for name, value in pairs:
            if name not in arguments:
                raise click.UsageError(f"{option} {name}: there is no --arg {name}=...")
            listed: Any = [v.strip() for v in value.split(",") if v.strip()]
            arguments[name][key] = True if key == "joined" else value if key == "role" else listed
    found = {"tool": tool, "arguments": arguments, "context": [s for s in said["context"].split(",") if s]}
    found |= {key: said[key] for key in ("effect", "undoable", "server", "mode", "agent")}
    found |= {"principals": list(said["principals"]), "grants": [_grant(text) for text in said["grants"]]}
    return found | ({} if said["outside"] is None else {"outside": said["outside"]})


def _pairs(option: str, given: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = []
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.UsageError(f"{option} {text!r}: write NAME=VALUE")
        pairs.append((name, value))
    return pairs


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _grant(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"--grant: no JSON: {error}") from None


def _line(match: Match) -> str:
    rule = match.rule
    verdict = f"MATCHES, {rule.outcome}" if match.matched else match.why
    return f"{match.layer:<8} {rule.name}: {verdict}"


def _match_json(match: Match) -> dict[str, Any]:
    rule = match.rule
    return {"layer": match.layer, "rule": rule.name, "place": rule.place, "outcome": rule.outcome} | {
        "matched": match.matched,
        "why": match.why,
    }


def _as_json(decision: Decision) -> dict[str, Any]:
    return {
        "outcome": decision.outcome,
        "reason": decision.reason,
        "grant": decision.grant,
        "rules": list(decision.policy),
        "people": decision.people,
        "approvers": list(decision.approvers),
    }
