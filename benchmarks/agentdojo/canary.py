"""Plants a string in every place that a stranger can write, and looks where in which answers it comes back."""

from __future__ import annotations

import datetime
import itertools
import json
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.agentdojo.world import SUITES, World, load, world
from mainspring.errors import ToolError
from mainspring.label import Label
from mainspring.value import Value, wrap

#: Calls made of one tool that only reads, and of one that changes something (each gets a world of its own).
MAX_CALLS = 2_000
MAX_CHANGES = 60


def check(suite_name: str) -> dict[str, Any]:
    """Every sighting of a planted string in `suite_name`, and those in fields that count as cleaner than they are."""
    suite = load(suite_name)
    planted = {vector: f"canary{number:04d}" for number, vector in enumerate(suite.get_injection_vector_defaults())}
    seen: set[str] = set()
    leaks: list[str] = []
    calls: dict[str, int] = {}
    for name in world(suite, injections=planted).tools:
        calls[name] = 0
        changes = _kept(suite, planted).tools[name].effect != "read"
        for arguments in itertools.islice(_arguments(suite, name, planted), MAX_CHANGES if changes else MAX_CALLS):
            place = _kept(suite, planted)
            if changes:
                place = World(suite, place.environment.model_copy(deep=True))
            try:
                answer = place.call(name, arguments)
            except ToolError:
                continue
            calls[name] += 1
            value = wrap(answer, place.tools[name].result_labels)
            for path, text, label in _texts(value, ""):
                for vector, canary in planted.items():
                    if canary in text:
                        seen.add(vector)
                        if label.trusted:
                            leaks.append(
                                f"{name}: {vector} in {path or 'the answer'}, labelled {sorted(label.sources)}"
                            )
    return {
        "suite": suite_name,
        "vectors": len(planted),
        "seen": sorted(seen),
        "unseen": sorted(set(planted) - seen),
        "leaks": sorted(set(leaks)),
        "calls": calls,
    }


_worlds: dict[str, World] = {}


def _kept(suite: Any, planted: dict[str, str]) -> World:
    """One world for all tools that only read."""
    if suite.name not in _worlds:
        _worlds[suite.name] = world(suite, injections=planted)
    return _worlds[suite.name]


def _texts(value: Value, path: str) -> Iterator[tuple[str, str, Label]]:
    """Every text in a value, keys included, with its label."""
    if isinstance(value.data, str):
        yield path, value.data, value.label
    elif isinstance(value.data, list):
        for number, item in enumerate(value.data):
            yield from _texts(item, f"{path}[{number}]")
    elif isinstance(value.data, dict):
        for key, item in value.data.items():
            yield f"{path} (a key)", key, value.label
            yield from _texts(item, f"{path}.{key}")


def _arguments(suite: Any, name: str, planted: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Sensible arguments: every text, day and number in the environment for each required argument."""
    place = _kept(suite, planted)
    schema = place.tools[name].schema
    values = _values(place)
    required = schema.get("required", [])
    choices: list[list[Any]] = []
    for argument in required:
        kind = schema["properties"][argument].get("type")
        if kind == "array":
            choices.append([[v] for v in values["text"]] + [values["text"]])
        elif kind in ("integer", "number"):
            choices.append(values["number"])
        elif kind == "boolean":
            choices.append([True])
        else:
            choices.append(values["text"])
    if len(choices) > 1:  # every value for one argument, one sensible value for the others
        first = [c[0] for c in choices]
        combinations: Iterator[Any] = itertools.chain.from_iterable(
            ([*first[:n], v, *first[n + 1 :]] for v in options) for n, options in enumerate(choices)
        )
        usual = {"start_time": "2024-06-01 10:00", "end_time": "2024-06-01 11:00", "permission": "r"}
        usual |= {"new_start_time": "2024-06-01 10:00", "start_day": "2024-06-01", "end_day": "2024-06-02"}
        for combination in combinations:
            yield dict(zip(required, combination, strict=True)) | {k: v for k, v in usual.items() if k in required}
        return
    for combination in itertools.product(*choices):
        yield dict(zip(required, combination, strict=True))


def _values(place: World) -> dict[str, list[Any]]:
    texts: dict[str, None] = {"": None}
    numbers: dict[Any, None] = {100: None}

    def walk(item: Any) -> None:
        if isinstance(item, dict):
            for key, below in item.items():
                texts[str(key)] = None
                walk(below)
        elif isinstance(item, list):
            for below in item:
                walk(below)
        elif isinstance(item, datetime.datetime):
            texts[item.date().isoformat()] = None
        elif isinstance(item, str) and len(item) < 80:
            texts[item] = None
            texts[item[:10]] = None
        elif isinstance(item, int | float) and not isinstance(item, bool):
            numbers[item] = None

    walk(place.environment.model_dump())
    return {"text": list(texts), "number": list(numbers)}


def main() -> None:
    """Print one JSON object a suite."""
    for name in sys.argv[1:] or SUITES:
        print(json.dumps(check(name)), flush=True)


if __name__ == "__main__":
    main()
