"""A source from the words of a configuration or a stored schedule, and the checks of these words."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from mainspring.errors import DeclarationError
from mainspring.schedules.sources.imap import Account
from mainspring.schedules.sources.inbox import InboxSource, Outcome
from mainspring.schedules.sources.letters import LetterSource
from mainspring.schedules.sources.mailbox import MailboxSource
from mainspring.schedules.sources.port import Source
from mainspring.schedules.sources.trays import WebhookSource
from mainspring.schedules.sources.watch import WatchSource
from mainspring.schedules.sources.webhook import Hook
from mainspring.store import Store

#: Kinds of sources, as ``{"kind": ...}`` names them.
KINDS = ("watch", "inbox", "mail", "webhook", "message")
_T = TypeVar("_T")
_ACCOUNT = tuple(inspect.signature(Account).parameters)
_HOOK = tuple(n for n in inspect.signature(Hook).parameters if n != "name")


def source_of(
    spec: Mapping[str, Any],
    store: Store,
    resolve: Callable[[str], str],
    *,
    name: str,
    outcome: Outcome | None = None,
) -> Source:
    """The source that ``{"kind": "inbox", "folder": "/srv/inbox", ...}`` describes.

    The other keys are the arguments of the kind's class: `WatchSource`, `InboxSource`, `MailboxSource` together with
    `Account`, `WebhookSource` together with `Hook` (``hook`` is its name), `LetterSource`.

    Args:
        resolve: gives the value of a reference to a secret.
        name: of the schedule; what a watch has seen is kept under it.
        outcome: says what became of an inbox's item.

    Raises:
        DeclarationError: a key is unknown or missing, or a value does not fit.
    """
    kind, given = spec.get("kind"), {k: v for k, v in spec.items() if k != "kind"}
    place = store.home / "sources"
    if kind == "watch":
        given["paths"] = _texts(given, "paths")
        if "changes" in given:
            given["changes"] = _texts(given, "changes")
        if "not_by_runs" in given:
            given["not_by_runs"] = store.home if given["not_by_runs"] else None
        return _made(WatchSource, given, keep=place / "watch" / hashlib.sha256(name.encode()).hexdigest()[:16])
    if kind == "inbox":
        return _made(InboxSource, given, outcome=outcome)
    if kind == "mail":
        account = _made(Account, {k: given.pop(k) for k in _ACCOUNT if k in given})
        return _made(MailboxSource, given, account=account, resolve=resolve, files=place / "mail")
    if kind == "webhook":
        hook_of(spec)
        return _made(WebhookSource, {k: v for k, v in given.items() if k not in _HOOK}, store=store)
    if kind == "message":
        return _made(LetterSource, {**given, "senders": _texts(given, "senders")}, store=store)
    raise DeclarationError(f"a source of kind {kind!r} is unknown; use one of {KINDS}")


def hook_of(spec: Mapping[str, Any]) -> Hook:
    """The door of a ``"webhook"`` source, for `webhook_app`; raises DeclarationError."""
    given = {k: spec[k] for k in _HOOK if k in spec}
    for name in ("secrets", "content_types"):
        if name in given:
            given[name] = _texts(given, name)
    return _made(Hook, given, name=spec.get("hook", ""))


def _made(kind: Callable[..., _T], given: Mapping[str, Any], **ours: Any) -> _T:
    known = [n for n in inspect.signature(kind).parameters if n not in ours]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise DeclarationError(f"a source says {unknown}, which is unknown; known are {known}")
    try:
        return kind(**given, **ours)
    except TypeError as error:  # a missing argument, or a number that is a text
        raise DeclarationError(f"a source does not fit: {str(error).partition('() ')[2] or error}") from None


def _texts(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = given.get(name, ())
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
        raise DeclarationError(f"a source's {name} is a list of texts, not {value!r}")
    return tuple(value)
