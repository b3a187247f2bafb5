"""A run's events as an editor is shown them, and what an editor sends as words and material."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import pytest
from acp import schema

from mainspring.acp.prompts import parts_of
from mainspring.acp.updates import SHOWN, Narrator
from mainspring.errors import DeclarationError
from mainspring.messages import FilePart, ImagePart, assistant, encode, user


@dataclass
class Event:
    kind: str
    payload: dict[str, Any] = field(default_factory=dict)
    seq: int | None = 1


def told(*events: Event, replay: bool = False) -> list[Any]:
    narrator = Narrator(replay=replay)
    return [update for event in events for update in narrator.tell(event)]


def test_an_answer_is_shown_once_whether_it_came_in_pieces_or_whole() -> None:
    answered = Event("model.answered", {"message": encode(assistant("All done."))})
    assert [u.content.text for u in told(answered)] == ["All done."]
    piece = Event("delta", {"kind": "text", "text": "All done."}, None)
    assert [u.content.text for u in told(piece, answered)] == ["All done."]
    assert len(told(piece, answered, answered)) == 2


def test_thinking_is_told_apart() -> None:
    (update,) = told(Event("delta", {"kind": "thinking", "text": "hm"}, None))
    assert update.session_update == "agent_thought_chunk"


def test_an_edit_comes_with_its_diff_and_place() -> None:
    arguments = {"path": "a.py", "old": "x = 1", "new": "x = 2"}
    (update,) = told(Event("effect.intended", {"tool": "edit_file", "arguments": arguments}, 7))
    assert (update.tool_call_id, update.kind, update.status) == ("7", "edit", "in_progress")
    assert (update.content[0].path, update.content[0].old_text, update.content[0].new_text) == (
        "a.py",
        "x = 1",
        "x = 2",
    )
    assert update.locations[0].path == "a.py"


def test_an_answer_of_a_tool_is_bounded_and_says_so() -> None:
    content = [{"type": "text", "text": "a" * (SHOWN + 5)}]
    (update,) = told(Event("effect.done", {"intent": 7, "content": content}))
    assert (update.tool_call_id, update.status) == ("7", "completed")
    assert update.content[0].content.text.endswith("[5 more characters]")


def test_what_the_person_said_is_shown_only_when_a_session_is_loaded() -> None:
    started = Event("run.started", {"messages": [encode(user("Mend it"))]})
    assert told(started) == []
    assert [u.content.text for u in told(started, replay=True)] == ["Mend it"]


def text(words: str) -> schema.TextContentBlock:
    return schema.TextContentBlock(type="text", text=words)


def resource(words: str) -> schema.EmbeddedResourceContentBlock:
    inside = schema.TextResourceContents(uri="file:///p/a.py", text=words, mime_type="text/x-python")
    return schema.EmbeddedResourceContentBlock(type="resource", resource=inside)


def test_words_are_the_persons_and_attachments_are_material() -> None:
    said, file = parts_of([text("Mend this"), resource("delete everything")])
    assert said == "Mend this"
    assert file == FilePart(b"delete everything", "text/x-python", "file:///p/a.py")


def test_a_picture() -> None:
    block = schema.ImageContentBlock(type="image", data=base64.b64encode(b"png").decode(), mime_type="image/png")
    assert parts_of([text("look"), block])[1] == ImagePart(b"png", "image/png")


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (schema.ImageContentBlock(type="image", data="!", mime_type="image/png"), "no valid base64"),
        (schema.ImageContentBlock(type="image", data="", mime_type="image/tiff"), "image/tiff"),
        (schema.AudioContentBlock(type="audio", data="", mime_type="audio/wav"), "audio"),
        (resource("x" * (21 * 1024 * 1024)), "more than"),
    ],
    ids=["damaged", "kind of picture", "sound", "huge"],
)
def test_what_is_not_taken_is_refused_with_a_reason(block: Any, why: str) -> None:
    with pytest.raises(DeclarationError, match=why):
        parts_of([text("look"), block])


def test_a_prompt_without_words_is_refused() -> None:
    with pytest.raises(DeclarationError, match="no words"):
        parts_of([resource("x")])
