"""What a tool declares decides what happens after a crash and who must agree before it acts."""

from mainspring import DidNotHappen, Happened, ToolContext, Unknown, tool

LEDGER: dict[str, str] = {}


@tool(effect="read")
def balance(account: str) -> int:
    """Reading may be repeated at any time."""
    return 100


@tool(effect="irreversible", authority=["to", "amount"], idempotency="key")
def pay(to: str, amount: int, key: str) -> str:
    """The bank honours a key: the same key pays once. The model never sees `key`."""
    LEDGER.setdefault(key, f"{amount} to {to}")
    return f"paid {LEDGER[key]}"


def was_it_posted(title: str, context: ToolContext) -> Happened | DidNotHappen | Unknown:
    """After a crash: ask the service itself."""
    return Happened("posted") if context.key in LEDGER else DidNotHappen()


@tool(effect="irreversible", authority=["title"], reconcile=was_it_posted)
def post(title: str, context: ToolContext) -> str:
    """No key at the target, but it can be asked whether the post is there."""
    LEDGER[context.key] = title
    return "posted"


@tool
def press_the_red_button() -> str:
    """Says nothing, so it counts as irreversible; after a crash a person decides whether it happened."""
    return "pressed"


for one in (balance, pay, post, press_the_red_button):
    print(f"{one.name:22} effect={one.effect:13} after a crash: {one.settlement:10} authority={one.authority}")
