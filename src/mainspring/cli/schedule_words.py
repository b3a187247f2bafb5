"""What a person types to describe a schedule, as the words of a `Schedule`: times, triggers, checks, caps."""

from __future__ import annotations

import datetime
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SPAN = re.compile(r"(?:\d{1,7}[smhdw])+\Z")
_MAIL = re.compile(r"(?P<user>.+)@(?P<host>\[[0-9a-fA-F:]+\]|[^@:/\s]+)(?::(?P<port>\d{1,5}))?(?:/(?P<box>.+))?\Z")
#: Options of which exactly one says when a schedule fires.
TRIGGERS = ("cron", "every", "at", "watch", "inbox", "mail", "webhook", "letters")
#: What `--cap` may name.
CAPS = ("usd", "tokens", "firings")


def span(text: str, option: str) -> float:
    """Seconds of ``30m``, ``1h30m``, ``2d``; raises UsageError."""
    words = text.strip()
    if not _SPAN.match(words):
        raise click.UsageError(f"{option} takes a time such as 30s, 5m, 1h30m or 2d, not {text!r}")
    seconds = float(sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)([smhdw])", words)))
    if seconds <= 0:
        raise click.UsageError(f"{option} must be above 0, not {text!r}")
    return seconds


def moment(text: str, zone: str | None, now: float, option: str) -> float:
    """The Unix time of ``2h`` (from now), or of a date and time in a zone (default: this machine's).

    Raises:
        UsageError: it is written otherwise, is over, or no clock of that zone ever shows it.
    """
    if _SPAN.match(text.strip()):
        return now + span(text, option)
    try:
        said = datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        raise click.UsageError(f"{option} takes 2h, 3d or a time such as 2027-03-01T09:00, not {text!r}") from None
    if said.tzinfo is None:
        where = None if zone is None else _zone(zone)
        there = said.astimezone() if where is None else said.replace(tzinfo=where)
        # Spring forward: a wall clock leaves an hour out, which shows when the time is taken there and back.
        back = datetime.datetime.fromtimestamp(there.timestamp(), there.tzinfo if where is None else where)
        if back.replace(tzinfo=None) != said:
            raise click.UsageError(f"{option} {text}: the clocks are put forward then, and leave this time out")
        said = there
    when = said.timestamp()
    if when <= now:
        raise click.UsageError(f"{option} {text}: that time is over")
    return when


def _zone(name: str) -> datetime.tzinfo:
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # a folder, a path, a name that is not there
        raise click.UsageError(f"--zone {name!r} is unknown; use a name such as Europe/Berlin or UTC") from None


def trigger(given: Mapping[str, Any], now: float) -> dict[str, Any]:
    """When it fires, of the options `TRIGGERS`, ``zone``, ``secret``, ``sender`` and ``set``; raises UsageError."""
    named = [name for name in TRIGGERS if given[name]]
    options = ", ".join(f"--{name}" for name in TRIGGERS)
    if len(named) != 1:
        what = " and ".join(f"--{name}" for name in named) or "nothing"
        raise click.UsageError(f"a schedule has one thing that fires it, of {options}; given: {what}")
    kind, zone = named[0], given["zone"]
    value = given[kind]
    if zone is not None and kind not in ("cron", "at"):
        raise click.UsageError("--zone says whose clock a --cron or an --at means")
    for option, kinds in (("secret", ("mail", "webhook")), ("sender", ("letters",)), ("set", TRIGGERS[3:])):
        if given[option] and kind not in kinds:
            raise click.UsageError(f"--{option} goes with {' or '.join('--' + k for k in kinds)}, not with --{kind}")
    if kind == "cron":
        return {"cron": value, "zone": zone or own_zone()}
    if kind == "every":
        return {"every": span(value, "--every")}
    if kind == "at":
        return {"at": moment(value, zone, now, "--at")}
    return {"source": _source(kind, given) | settings(given["set"])}


def own_zone() -> str:
    """The name of this machine's zone; ``UTC`` where it has none."""
    import os
    from zoneinfo import ZoneInfo

    named = os.environ.get("TZ", "").removeprefix(":")
    link = os.path.realpath("/etc/localtime")
    for name in (named, link.partition("/zoneinfo/")[2].removeprefix("posix/")):
        if name and not name.startswith("/"):
            try:
                ZoneInfo(name)
            except (OSError, ValueError, KeyError):
                continue
            return "UTC" if name in ("Etc/UTC", "UTC", "Universal", "Zulu") else name
    return "UTC"


def _source(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    value: Any = given[kind]
    secrets = [s if s.startswith("secret:") else f"secret:{s}" for s in given["secret"]]
    if kind == "watch":
        return {"kind": "watch", "paths": [absolute(path) for path in value]}
    if kind == "inbox":
        return {"kind": "inbox", "folder": absolute(value)}
    if kind == "webhook":
        if not secrets:
            raise click.UsageError("--webhook needs --secret NAME: the key, declared under [secrets], that signs it")
        return {"kind": "webhook", "hook": value, "secrets": secrets}
    if kind == "letters":
        if not given["sender"]:
            raise click.UsageError("--letters needs --sender AGENT: who may write to this mailbox")
        return {"kind": "message", "mailbox": value, "senders": list(given["sender"])}
    found = _MAIL.match(value)
    if found is None:
        raise click.UsageError(f"--mail takes USER@HOST[:PORT][/MAILBOX], such as ann@imap.example.org, not {value!r}")
    if len(secrets) != 1:
        raise click.UsageError("--mail needs one --secret NAME: the password, declared under [secrets]")
    account: dict[str, Any] = {"host": found["host"].strip("[]"), "user": found["user"], "password": secrets[0]}
    if found["port"]:
        account["port"] = int(found["port"])
    if found["box"]:
        account["mailbox"] = found["box"]
    return {"kind": "mail", **account}


def settings(texts: Sequence[str]) -> dict[str, Any]:
    """``KEY=VALUE`` options, a value being JSON where it is some; raises UsageError."""
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or name == "kind":
            raise click.UsageError(f"--set takes KEY=VALUE with a key of docs/sources.md, not {text!r}")
        try:
            found[name] = json.loads(value)
        except (ValueError, RecursionError):
            found[name] = value
    return found


def check(given: Mapping[str, str | None], workspace: Path | None) -> dict[str, Any] | None:
    """What is looked at before a firing: at most one of ``exists``, ``changed``, ``command``, ``python``.

    Args:
        workspace: where relative paths are; by default this folder.

    Raises:
        UsageError: two are given, or one is empty.
    """
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise click.UsageError(f"--check-{named[0]} and --check-{named[1]}: one check decides; choose one")
    if not named:
        return None
    name, value = named[0], given[named[0]] or ""
    if not value.strip():
        raise click.UsageError(f"--check-{name} is empty")
    if name == "command":
        try:
            return {"command": shlex.split(value)}
        except ValueError as error:
            raise click.UsageError(f"--check-command {value!r}: {error}") from None
    return {name: value if name == "python" else str((workspace or Path()).absolute() / Path(value).expanduser())}


def caps(texts: Sequence[str]) -> dict[str, float] | None:
    """``usd=5`` and the like: the most of a day. Raises UsageError."""
    found: dict[str, float] = {}
    for text in texts:
        name, equals, number = text.partition("=")
        if not equals or name not in CAPS:
            raise click.UsageError(f"--cap {text!r}: write usd=5, tokens=1000000 or firings=20")
        try:
            value = float(number)
        except ValueError:
            value = float("nan")
        if not 0 < value < float("inf"):
            raise click.UsageError(f"--cap {text!r}: {number!r} is no number above 0")
        found[name] = int(value) if value.is_integer() and name != "usd" else value
    return found or None


def absolute(path: str) -> str:
    """The path from the root, patterns and all: a schedule outlives the folder it was typed in."""
    return str(Path(path).expanduser().absolute())
