"""Sources from the words of a stored schedule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mainspring.errors import DeclarationError
from mainspring.schedules.sources import (
    InboxSource,
    LetterSource,
    MailboxSource,
    WatchSource,
    WebhookSource,
    hook_of,
    source_of,
)
from mainspring.store import Store, open_store

MAIL = {"kind": "mail", "host": "mail.example", "user": "ann", "password": "secret:mail"}


@pytest.fixture
def store(home: Path) -> Store:
    return open_store(home)


def made(spec: Any, store: Store) -> Any:
    return source_of(json.loads(json.dumps(spec)), store, lambda reference: "value of it", name="s")


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ({"kind": "watch", "paths": ["/srv"], "changes": ["created"], "not_by_runs": True}, WatchSource),
        ({"kind": "inbox", "folder": "/srv/inbox", "again": True}, InboxSource),
        ({**MAIL, "every_s": 30, "after": "seen"}, MailboxSource),
        ({"kind": "webhook", "hook": "orders", "secrets": ["secret:x"], "scheme": "github"}, WebhookSource),
        ({"kind": "message", "mailbox": "reports", "senders": ["clerk"]}, LetterSource),
    ],
)
def test_each_kind(store: Store, spec: Any, kind: type) -> None:
    assert isinstance(made(spec, store), kind)


def test_what_was_said_arrives(store: Store) -> None:
    watch = made({"kind": "watch", "paths": ["/srv"], "not_by_runs": True}, store)
    assert watch.not_by_runs == store.home
    assert watch.keep.parent == store.home / "sources" / "watch"
    hook = hook_of({"kind": "webhook", "hook": "orders", "secrets": ["secret:x"], "scheme": "github", "window_s": 60})
    assert (hook.name, hook.secrets, hook.scheme, hook.window_s) == ("orders", ("secret:x",), "github", 60)
    assert made({**MAIL, "mailbox": "Orders"}, store).account.mailbox == "Orders"


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({}, "kind None is unknown"),
        ({"kind": "ftp"}, "use one of"),
        ({"kind": "inbox"}, "folder"),
        ({"kind": "inbox", "folder": "/a", "every": 3}, r"\['every'\], which is unknown"),
        ({"kind": "inbox", "folder": "/a", "outcome": "x"}, "which is unknown"),
        ({"kind": "inbox", "folder": "/a", "every_s": "x"}, "does not fit"),
        ({"kind": "watch", "paths": "/srv"}, "list of texts"),
        ({"kind": "watch", "paths": ["/srv"], "keep": "/etc"}, "which is unknown"),
        ({**MAIL, "files": "/etc"}, "which is unknown"),
        ({**MAIL, "password": "hunter2hunter2"}, "secret:NAME"),
        ({"kind": "webhook", "secrets": ["secret:x"]}, "a name is"),
        ({"kind": "message", "mailbox": "a", "senders": []}, "senders lists"),
    ],
)
def test_words_that_do_not_fit(store: Store, spec: Any, why: str) -> None:
    with pytest.raises(DeclarationError, match=why) as found:
        made(spec, store)
    assert "hunter2" not in str(found.value)
