"""What may fire a schedule besides the clock: files, an inbox folder, mail, webhooks, messages of other agents.

Each source is looked at without a model. What it finds comes under a stranger's label, never as a user's words.
"""

from mainspring.schedules.sources.deliveries import Tray
from mainspring.schedules.sources.imap import Account
from mainspring.schedules.sources.inbox import InboxSource
from mainspring.schedules.sources.letters import LetterSource, send_tool
from mainspring.schedules.sources.mail import Attachment, Mail, parse
from mainspring.schedules.sources.mailbox import MailboxSource
from mainspring.schedules.sources.port import Item, Polled, Source
from mainspring.schedules.sources.signatures import SCHEMES, sign
from mainspring.schedules.sources.spec import KINDS, hook_of, source_of
from mainspring.schedules.sources.trays import WebhookSource
from mainspring.schedules.sources.watch import WatchSource
from mainspring.schedules.sources.webhook import Hook, webhook_app

__all__ = [
    "KINDS",
    "SCHEMES",
    "Account",
    "Attachment",
    "Hook",
    "InboxSource",
    "Item",
    "LetterSource",
    "Mail",
    "MailboxSource",
    "Polled",
    "Source",
    "Tray",
    "WatchSource",
    "WebhookSource",
    "hook_of",
    "parse",
    "send_tool",
    "sign",
    "source_of",
    "webhook_app",
]
