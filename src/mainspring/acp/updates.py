"""What an editor is shown of a run: its journal's events as session updates of the protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from acp import (
    schema,
    text_block,
    tool_content,
    tool_diff_content,
    update_agent_message_text,
    update_agent_thought_text,
    update_user_message_text,
)

from mainspring.messages import TextPart, ThinkingPart, decode, decode_part
from mainspring.tools.undo import RunEventLike

#: Longest answer of a tool that is shown, in characters; the journal has the whole.
SHOWN = 8_000
_KINDS: Mapping[str, Any] = {
    "read_file": "read",
    "search_codebase": "search",
    "find_symbol": "search",
    "repo_map": "search",
    "edit_file": "edit",
    "replace_symbol": "edit",
    "apply_patch": "edit",
    "web_fetch": "fetch",
}
_EXECUTES = ("run_", "execute_", "start_", "write_", "stop_", "verify_", "locate_")


class Narrator:
    """Turns events into updates, in order; one for each connection to a run.

    Args:
        replay: the run is shown again from its journal, so that what the person said is shown as well.
    """

    def __init__(self, *, replay: bool = False) -> None:
        self._replay = replay
        self._streamed = False  # this answer was shown piece by piece already

    def tell(self, event: RunEventLike) -> Iterator[Any]:
        """The updates that say what happened; most events say nothing to an editor."""
        handle = getattr(self, "_" + event.kind.replace(".", "_"), None)
        if handle is not None:
            yield from handle(event)

    def _delta(self, event: RunEventLike) -> Iterator[Any]:
        text = str(event.payload.get("text", ""))
        if not text:
            return
        if event.payload.get("kind") == "thinking":
            yield update_agent_thought_text(text)
        else:
            self._streamed = True
            yield update_agent_message_text(text)

    def _run_started(self, event: RunEventLike) -> Iterator[Any]:
        if self._replay:
            for message in event.payload.get("messages") or ():
                yield update_user_message_text(decode(message).text)

    def _message_added(self, event: RunEventLike) -> Iterator[Any]:
        if self._replay and isinstance(event.payload.get("message"), Mapping):
            yield update_user_message_text(decode(event.payload["message"]).text)

    def _model_answered(self, event: RunEventLike) -> Iterator[Any]:
        streamed, self._streamed = self._streamed, False
        message = decode(event.payload["message"])
        if not streamed:
            thought = "".join(part.text for part in message.parts if isinstance(part, ThinkingPart))
            if thought.strip():
                yield update_agent_thought_text(thought)
            if message.text.strip():
                yield update_agent_message_text(message.text)

    def _output_rejected(self, event: RunEventLike) -> Iterator[Any]:
        yield update_agent_thought_text(str(event.payload.get("complaint", "")))

    def _call_refused(self, event: RunEventLike) -> Iterator[Any]:
        tool, reason = str(event.payload.get("tool", "")), str(event.payload.get("reason", ""))
        yield schema.ToolCallStart(
            session_update="tool_call",
            tool_call_id=f"refused-{event.seq}",
            title=tool,
            kind=kind_of(tool),
            status="failed",
            content=[tool_content(text_block(reason[:SHOWN]))],
        )

    def _effect_intended(self, event: RunEventLike) -> Iterator[Any]:
        payload = event.payload
        tool, arguments = str(payload.get("tool", "")), payload.get("arguments") or {}
        path = arguments.get("path")
        yield schema.ToolCallStart(
            session_update="tool_call",
            tool_call_id=str(event.seq),
            title=title_of(tool, arguments),
            kind=kind_of(tool),
            status="in_progress",
            raw_input=dict(arguments),
            content=_diff(tool, arguments),
            locations=[schema.ToolCallLocation(path=path)] if isinstance(path, str) else None,
        )

    def _effect_done(self, event: RunEventLike) -> Iterator[Any]:
        payload = event.payload
        parts = [decode_part(part) for part in payload.get("content") or ()]
        text = "".join(part.text for part in parts if isinstance(part, TextPart))
        shown = text if len(text) <= SHOWN else text[:SHOWN] + f"\n[{len(text) - SHOWN:,} more characters]"
        yield schema.ToolCallProgress(
            session_update="tool_call_update",
            tool_call_id=str(payload.get("intent")),
            status="failed" if payload.get("is_error") else "completed",
            content=[tool_content(text_block(shown))],
        )

    def _effect_parked(self, event: RunEventLike) -> Iterator[Any]:
        yield schema.ToolCallProgress(
            session_update="tool_call_update",
            tool_call_id=str(event.payload.get("intent")),
            status="failed",
            content=[tool_content(text_block(f"It may have happened: {event.payload.get('reason', '')}"))],
        )


def kind_of(tool: str) -> Any:
    """The protocol's word for what a tool does."""
    return _KINDS.get(tool) or ("execute" if tool.startswith(_EXECUTES) else "other")


def title_of(tool: str, arguments: Mapping[str, Any]) -> str:
    """A call on one line."""
    about = next(
        (str(arguments[name]) for name in ("path", "command", "query", "name", "target") if arguments.get(name)), ""
    )
    about = about.split("\n", 1)[0]
    return f"{tool} {about[:80]}".rstrip()


def _diff(tool: str, arguments: Mapping[str, Any]) -> list[Any] | None:
    if tool != "edit_file" or not all(isinstance(arguments.get(name), str) for name in ("path", "old", "new")):
        return None
    return [tool_diff_content(arguments["path"], arguments["new"], arguments["old"] or None)]
