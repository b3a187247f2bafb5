"""What the journal says of a run's guard: its mode, its grants, its handles, and who may have written its context."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mainspring.guard import MODES, Grant, Mode
from mainspring.label import SYSTEM, USER, Label
from mainspring.messages import valid_text
from mainspring.value import Value, read_path, wrap, write_path

#: What an imported journal says; its chain has no key.
IMPORTED = Label(frozenset({"imported"}))
_MARK = ({"media_type", "part", "call_id"}, {"media_type", "base64"})


@dataclass(frozen=True, slots=True)
class Handle:
    """A value that the planner may pass on by its name.

    Args:
        name: ``v1``, ``v2`` and so on, in the order of the journal.
        call_id: the call that returned it, or "" for something that the user pasted.
        data: the value as JSON data.
        labels: path -> label, as `mainspring.value.wrap` takes them.
    """

    name: str
    call_id: str
    data: Any
    labels: Mapping[str, Label]


class GuardState:
    """The guard's part of a run's state; only the fold changes it."""

    def __init__(self) -> None:
        self.mode: Mode = "plain"
        self.why = ""
        self.principals: tuple[str, ...] = ()
        self.grants: list[Grant] = []
        self.used: dict[str, int] = {}
        self.turns: list[str] = []  # the user's own words, turn by turn
        self.compiled = 0  # turns of which grants were made
        self.handles: dict[str, Handle] = {}
        self.bits = 0.0  # what readers have told the planner
        self.steering_bits = 0  # what strangers' data have decided in its programs
        self.lowered: dict[str, tuple[str, Label]] = {}  # handle and path -> (person, label)
        self.vouched: dict[str, int] = {}  # handle and path -> the event that lowered it
        self.given: dict[str, int] = {}  # id of a grant -> the newest event that gave it
        self.foreign = False  # whether it was executed elsewhere
        self.changes = 0  # of labels by people; what was worked out before one does not hold after it
        self._values: dict[str, Value] = {}
        self.label = SYSTEM  # of everything that the model has seen
        self._base = SYSTEM
        self._marks: dict[str, Label] = {}  # what a result or refusal brought into the context

    # --- folding ---

    def started(self, payload: Mapping[str, Any], label: Label) -> None:
        """The first event: how the run is guarded, and for whom it acts."""
        guard = payload.get("guard") or {}
        mode = guard.get("mode", "plain")
        # A mode that this version does not know must not be weaker than the strictest of ours.
        self.mode = mode if mode in MODES else "tainted"
        self.why = guard.get("why", "")
        self.principals = tuple(guard.get("principals") or ())
        self.take_grants(guard.get("grants") or (), 1)
        self.take_values(payload)
        self.turns = list(guard.get("turns") or ())
        self.base(label)

    def take_grants(self, grants: Iterable[Mapping[str, Any]], seq: int) -> None:
        """Grants that the event at `seq` gives."""
        for encoded in grants:
            grant = Grant.decode(encoded)
            self.grants.append(grant)
            self.given[grant.id] = seq

    def take_values(self, payload: Mapping[str, Any]) -> None:
        """Handles that came with an event: what the user pasted, or a program's or reader's answer."""
        for name, value in (payload.get("values") or {}).items():
            self.add_handle(name, "", value["data"], value["labels"])

    def add_handle(self, name: str, call_id: str, data: Any, labels: Mapping[str, str]) -> None:
        """A new handle with its labels as the journal writes them."""
        self.handles[name] = Handle(name, call_id, data, {p: Label.decode(text) for p, text in labels.items()})

    def base(self, label: Label) -> None:
        """Something entered the context that stays in it: the user's words, the model's."""
        self._base = self._base.join(label)
        self.label = self.label.join(label)

    def mark(self, key: str, label: Label) -> None:
        """The result of call `key` entered the context; a person may lower its label later."""
        self._marks[key] = label
        if key not in self.lowered:
            self.label = self.label.join(label)

    def lower(self, target: str, by: str, label: Label, seq: int) -> None:
        """A person vouches for a value from now on. A clean planner is shown it, under the label that it then has."""
        if self.mode == "clean" and target not in self._marks:
            name, path = split_target(target)
            value = self.value(name)
            self._marks[target] = SYSTEM if value is None else value.at(read_path(path)).whole_label
        self._changed()
        self.lowered[target] = (by, label)
        self.vouched[target] = seq
        self._rejoin()

    def restore(self, target: str) -> None:
        """A person takes that back."""
        self._changed()
        self.lowered.pop(target, None)  # whoever has read it, has read it: its old label comes back
        self._rejoin()

    def _changed(self) -> None:
        self.changes += 1
        self._values.clear()

    def _rejoin(self) -> None:
        label = self._base
        for key, marked in self._marks.items():
            label = label.join(self.lowered[key][1] if key in self.lowered else marked)
        self.label = label

    def distrust(self) -> bool:
        """The run comes from elsewhere: whoever made its journal may have written everything in it so far.

        Returns False when that is known already.
        """
        if self.foreign:
            return False
        self.foreign = True
        if self.mode != "clean":  # what a planner was shown there cannot be taken back
            self.mode = "tainted"
        self._changed()
        self.base(IMPORTED)
        self.compiled = len(self.turns)  # what it calls its user's words gives no rights here
        for name, handle in self.handles.items():
            if IMPORTED.sources - handle.labels.get("", SYSTEM).sources:
                labels = {path: label.join(IMPORTED) for path, label in ({"": SYSTEM} | dict(handle.labels)).items()}
                self.handles[name] = replace(handle, labels=labels)
        return True

    # --- reading ---

    def marked(self, key: str) -> Label | None:
        """The label that the answer to call `key` brought into the context, or None when there is none."""
        return self._marks.get(key)

    def next_handle(self) -> str:
        """The name of the next handle."""
        return f"v{len(self.handles) + 1}"

    def value(self, name: str) -> Value | None:
        """The labelled value of a handle, with what people have lowered; None when there is no such handle."""
        known = self._values.get(name)
        if known is not None:
            return known
        handle = self.handles.get(name)
        if handle is None:
            return None
        labels = dict(handle.labels)
        for target, (_, label) in self.lowered.items():
            owner, path = split_target(target)
            if owner == name:
                labels = {p: v for p, v in labels.items() if not _under(p, path)} | {path: label}
        self._values[name] = wrap(handle.data, labels)
        return self._values[name]


def split_target(target: str) -> tuple[str, str]:
    """``"v3[0].body"`` as ``("v3", "[0].body")``; a call's id stays whole."""
    for number, letter in enumerate(target):
        if letter in ".[" and target[:1] == "v" and target[1:number].isdigit():
            return target[:number], write_path(read_path(target[number:].removeprefix(".")))
    return target, ""


def _under(path: str, above: str) -> bool:
    """Whether an exact path stands at or below `above`. A path for every item says more than one person looked at."""
    return "[]" not in path and (not above or path == above or path.startswith((above + ".", above + "[")))


def decoded_values(arguments: Mapping[str, Any], labels: Mapping[str, Mapping[str, str]]) -> dict[str, Value]:
    """Arguments with the labels that the journal keeps beside them; without one, the user's."""
    return {
        name: wrap(data, {p: Label.decode(text) for p, text in (labels.get(name) or {}).items()}, USER)
        for name, data in arguments.items()
    }


def handle_data(content: list[Any], is_json: bool, call_id: str = "") -> Any:
    """The data of a result's encoded content: parsed JSON, one text, or a list with marks for pictures and files."""
    if len(content) == 1 and content[0]["type"] == "text":
        return _sound(json.loads(content[0]["text"])) if is_json else content[0]["text"]
    items: list[Any] = []
    for number, part in enumerate(content):
        if part["type"] == "text":
            items.append(part["text"])
        else:
            items.append({"media_type": part["media_type"], "part": number, "call_id": call_id})
    return items


def _sound(data: Any) -> Any:
    """JSON data whose texts are UTF-8: an escape can hide half a character, which nothing could write down."""
    if isinstance(data, str):
        return valid_text(data)
    if isinstance(data, list):
        return [_sound(v) for v in data]
    if not isinstance(data, dict):
        return data
    sound = {valid_text(k): _sound(v) for k, v in data.items()}
    # Our own marks of pictures and files must not be forged by a tool: a reader is shown what they point at.
    return sound | {"data": "as the tool wrote it"} if set(sound) in _MARK else sound
