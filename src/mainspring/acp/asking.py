"""Puts what a run waits for before the person at the editor, and takes their answer.

The editor is a channel of its own, which no run can reach: it speaks to this process over a pipe that no tool has.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from acp import schema, text_block, tool_content
from acp.interfaces import Client

from mainspring.acp.updates import kind_of, title_of
from mainspring.errors import ApprovalError
from mainspring.runtime.pending import Pending, this_channel

_YES = schema.PermissionOption(option_id="yes", name="Allow once", kind="allow_once")
_NO = schema.PermissionOption(option_id="no", name="Deny", kind="reject_once")
_HAPPENED = schema.PermissionOption(option_id="happened", name="It did happen", kind="allow_once")
_DID_NOT = schema.PermissionOption(option_id="did_not", name="It did not; make the call again", kind="allow_always")
_ABORT = schema.PermissionOption(option_id="abort", name="Give it up", kind="reject_once")


async def answer(
    client: Client, session_id: str, pending: Pending, *, by: str, stop: asyncio.Event | None = None
) -> bool:
    """Ask about one thing and record the answer; False when the person did not answer, or pressed stop first.

    Raises:
        ApprovalError: it was settled elsewhere meanwhile, or this person may not decide it.
    """
    asked = pending.asked()
    lines = [f"{pending.tool} wants:", json.dumps(dict(asked.arguments), indent=1, ensure_ascii=False)]
    lines += [f"{name} comes from {origin}" for name, origin in asked.origins.items() if origin]
    lines += [f"Why you are asked: {asked.reason}"] if asked.reason else []
    lines += [asked.diff] if asked.diff else []
    doubt = pending.kind == "doubt"
    call = schema.ToolCallUpdate(
        tool_call_id=f"ask-{pending.id}",
        title=("Did this happen? " if doubt else "") + title_of(pending.tool, asked.arguments),
        kind=kind_of(pending.tool),
        status="pending",
        content=[tool_content(text_block("\n".join(lines)))],
        raw_input=dict(asked.arguments),
    )
    options = [_HAPPENED, _DID_NOT, _ABORT] if doubt else [_YES, _NO]
    said = await choice(client, session_id, call, options, stop)
    if said is None:
        return False
    channel = this_channel("acp")
    if doubt:
        pending.settle(said, by=by)  # type: ignore[arg-type]  # one of the three options
    elif said == "yes":
        pending.approve(by=by, channel=channel)
    else:
        pending.deny(by=by, reason="denied in the editor", channel=channel)
    return True


async def choice(
    client: Client, session_id: str, call: Any, options: list[Any], stop: asyncio.Event | None = None
) -> str | None:
    """The id of the option that the person chose, or None when the question was cancelled.

    An answer that comes after `stop` was set is not looked at any more.

    Raises:
        ApprovalError: the editor answered with an option that was not offered.
    """
    asked = asyncio.ensure_future(client.request_permission(session_id=session_id, tool_call=call, options=options))
    stopped = asyncio.ensure_future((stop or asyncio.Event()).wait())
    try:
        await asyncio.wait({asked, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if stopped.done() or not asked.done():
            return None
        response = asked.result()
    finally:
        asked.cancel()
        stopped.cancel()
    outcome = response.outcome
    if outcome.outcome != "selected":
        return None
    if outcome.option_id not in {option.option_id for option in options}:
        raise ApprovalError(f"the editor answered {outcome.option_id!r}, which was not offered; nothing was decided")
    return str(outcome.option_id)
