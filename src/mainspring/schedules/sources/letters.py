"""Messages from one agent's run to a named mailbox that a schedule listens to.

A message carries how many hands it has gone through. Two schedules that answer each other come to an end by that count,
whatever their models want.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainspring.errors import DeclarationError, StoreError, ToolError
from mainspring.label import SYSTEM, Label
from mainspring.schedules.sources.deliveries import Tray
from mainspring.schedules.sources.port import Item, Polled
from mainspring.schedules.sources.trays import poll_tray
from mainspring.store import Store
from mainspring.tool import Tool, ToolContext

if TYPE_CHECKING:
    from pathlib import Path

LETTER = "letter"
MAILBOX = "mailbox"
#: Longest message, in characters.
MAX_TEXT = 100_000
#: How many runs a message may go through, each having been started by the one before.
MAX_HOPS = 8
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}\Z")
#: Most runs that are looked at above one run.
_MOST_ABOVE = 100


@dataclass(frozen=True, slots=True)
class LetterSource:
    """Messages for one mailbox.

    Args:
        mailbox: small letters, digits, ``_``, ``-`` and ``.``.
        senders: agents that may write to it, such as ``("clerk",)``; a sub-agent is ``"clerk/helper"``.
        max_waiting: how many may wait; then senders are told so.
        every_s: seconds between two looks.

    Raises:
        DeclarationError: a name does not fit, or nobody may write.
    """

    store: Store
    mailbox: str
    senders: tuple[str, ...]
    max_waiting: int = 1000
    every_s: float = 30.0

    def __post_init__(self) -> None:
        if not _NAME.match(self.mailbox):
            raise DeclarationError(f"mailbox {self.mailbox!r}: use small letters, digits, '_', '-' and '.'")
        if isinstance(self.senders, str) or not self.senders:
            raise DeclarationError(f"mailbox {self.mailbox!r}: senders lists the agents that may write to it")

    def open(self) -> None:
        """Say in the store that there is this mailbox, and who may write to it; cheap when that is known."""
        wanted = {"senders": sorted(self.senders), "max_waiting": self.max_waiting}
        for _ in range(3):
            found = self.store.kept(MAILBOX, self.mailbox)
            if found is not None and found.body == wanted:
                return
            try:
                self.store.keep(MAILBOX, self.mailbox, wanted, version=0 if found is None else found.version)
                return
            except StoreError:
                if self.store.kept(MAILBOX, self.mailbox) == found:
                    raise

    def close(self) -> None:
        """Take the mailbox away; what waits in it stays."""
        found = self.store.kept(MAILBOX, self.mailbox)
        if found is not None:
            self.store.drop(MAILBOX, self.mailbox, version=found.version)

    def poll(self, state: Mapping[str, Any], now: float) -> Polled:
        """Messages of allowed senders; raises StoreError."""
        self.open()

        def item(id: str, content: dict[str, Any]) -> Item | None:
            if content["sender"] not in self.senders:  # allowed once, and not any more
                return None
            payload = {k: content[k] for k in ("text", "sender", "run", "hops")}
            return Item(id, payload, Label.decode(content["label"]), f"message of {content['sender']}")

        return poll_tray(Tray(self.store, LETTER, self.mailbox), state, now, self.every_s, item)


def send_tool(*, mailboxes: Sequence[str] | None = None, max_hops: int = MAX_HOPS) -> Tool:
    """The tool ``send_to(mailbox, text)``: leave a message for whoever listens there. Sent once, also after a crash.

    Args:
        mailboxes: those that it may write to; None leaves that to the mailboxes' own lists.
        max_hops: how many runs a message may go through.
    """

    def send_to(mailbox: str, text: str, context: ToolContext, key: str) -> str:
        """Leave a message in the mailbox of another agent."""
        if context.home is None:
            raise ToolError("messages need a journal, and this call has none")
        if mailboxes is not None and mailbox not in mailboxes:
            raise ToolError(f"this agent may not write to {mailbox!r}; it may write to {', '.join(sorted(mailboxes))}")
        return _send(context.home, mailbox, text, context, key, max_hops)

    return Tool(send_to, effect="irreversible", authority=["mailbox"], idempotency="key")


def _send(home: Path, mailbox: str, text: str, context: ToolContext, key: str, max_hops: int) -> str:
    from mainspring.store import open_store

    store = open_store(home)
    sender = context.principal[-1].removeprefix("agent:") if context.principal else ""
    found = store.kept(MAILBOX, mailbox) if _NAME.match(mailbox) else None
    if found is None or sender not in found.body["senders"]:  # which mailboxes there are is nothing to be tried out
        raise ToolError(f"there is no mailbox {mailbox!r} that agent {sender!r} may write to")
    if len(text) > MAX_TEXT:
        raise ToolError(f"the message has {len(text):,} characters; at most {MAX_TEXT:,} are taken")
    hops = hops_of(store, context.run_id) + 1
    if hops > max_hops:
        raise ToolError(
            f"not sent: this conversation has gone from run to run {hops - 1} times without a person; at most "
            f"{max_hops} are allowed. A person has to begin it anew"
        )
    tray = Tray(store, LETTER, mailbox)
    if not tray.known(key) and len(tray.waiting(found.body["max_waiting"])) >= found.body["max_waiting"]:
        raise ToolError(f"the mailbox {mailbox!r} is full; nobody has read it for a while")
    label = context.labels.get("text", SYSTEM).join(Label(frozenset({f"message:{sender}"})))
    import time

    content = {"text": text, "sender": sender, "run": context.run_id, "hops": hops, "label": label.encode()}
    tray.put(key, content, time.time())  # False: sent before a crash under this key
    return f"left in {mailbox}"


def hops_of(store: Store, run_id: str) -> int:
    """How many hands what a run works on has gone through: its own count, or that of the run that started it."""
    from mainspring.runtime.bounds import Bounds

    for _ in range(_MOST_ABOVE):
        bounds = Bounds.decode(store.event(run_id, 1).payload.get("bounds"))
        hops = bounds.cause.get("hops")
        if isinstance(hops, int):
            return hops
        if bounds.parent is None:
            return 0
        run_id = bounds.parent
    return _MOST_ABOVE
