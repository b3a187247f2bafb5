"""Watching: changes below folders, gathered until they come to rest."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

#: Changes are gathered until none came for so long, at most for the second figure; in milliseconds.
_REST_MS, _MOST_MS = 300, 2_000
#: How often it looks whether it was stopped.
_LOOK_MS = 500


def changes(roots: Sequence[Path], keep_out: Sequence[Path], stopped: threading.Event) -> Iterator[None]:
    """Yields once for each burst of changes at or below the roots, until `stopped` is set.

    The first time is at once, when the watch has begun: whoever looks then misses nothing.
    """
    from watchfiles import DefaultFilter, watch

    out = tuple(f"{folder}/" for folder in keep_out)

    class Filter(DefaultFilter):
        def __call__(self, change: object, path: str) -> bool:
            return not f"{path}/".startswith(out) and super().__call__(change, path)  # type: ignore[arg-type]

    # The first step makes the watcher, which then gathers what changes while the caller is busy. With
    # `yield_on_timeout` the loop looks at `stopped` also when nothing changes.
    steps = watch(
        *roots,
        watch_filter=Filter(),
        stop_event=stopped,
        step=_REST_MS,
        debounce=_MOST_MS,
        rust_timeout=_LOOK_MS,
        yield_on_timeout=True,
        raise_interrupt=True,
    )
    next(steps, None)
    yield
    for changed in steps:
        if stopped.is_set():
            return
        if changed:
            yield
