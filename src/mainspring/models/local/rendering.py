"""Our messages as the plain chat that every model's own template understands: system, user, assistant, text only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mainspring.messages import FilePart, ImagePart, Message, Part, TextPart, ToolResultPart
from mainspring.models.local.envelope import Envelope, tool_result


def render(messages: Sequence[Message], envelope: Envelope, control_tokens: Iterable[str]) -> list[dict[str, str]]:
    """`messages` as chat turns that alternate, with the tools' instructions at the end of the system turn.

    Equal messages give equal text, and a longer conversation begins with the shorter one's text, so that the engine's
    prefix cache holds. A model's control tokens inside the text are broken up: words from a file or a web page must
    not end a turn and begin another in somebody else's name.
    """
    controls = tuple(control_tokens)
    instructions = envelope.instructions()
    turns: list[dict[str, str]] = []
    for index, message in enumerate(messages):
        role = message.role
        if role == "assistant":
            text = envelope.write(message)
        else:
            text = "\n\n".join(filter(None, (_text_of(part) for part in message.parts)))
        if role == "system" and index > 0:
            text = f"Note from the system: {text}"
        if role == "tool" or (role == "system" and index > 0):
            role = "user"
        text = defuse(text, controls)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += "\n\n" + text
        else:
            turns.append({"role": role, "content": text})
    if instructions:
        if turns and turns[0]["role"] == "system":
            turns[0]["content"] += "\n\n" + instructions
        else:
            turns.insert(0, {"role": "system", "content": instructions})
    if not turns or turns[-1]["role"] != "user":
        turns.append({"role": "user", "content": "Go on."})
    return turns


def defuse(text: str, control_tokens: Iterable[str]) -> str:
    """`text` with a space inside each control token, so that it is read as the characters it shows."""
    for token in control_tokens:
        if token in text:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def _text_of(part: Part) -> str:
    match part:
        case TextPart(text):
            return text
        case ToolResultPart():
            return tool_result(part, "\n".join(filter(None, map(_text_of, part.content))))
        case ImagePart(description=description):
            return f"[a picture that this model cannot see: {description or 'no description'}]"
        case FilePart(data, media_type, name):
            if media_type.startswith("text/") or media_type == "application/json":
                return f"File {name or 'without a name'}:\n{data.decode('utf-8', 'replace')}"
            return f"[a file that this model cannot read: {name or media_type}]"
        case _:
            return ""
