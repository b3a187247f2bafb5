"""Files that were created, changed or removed, as items. The scan is the truth; inotify only says when to look.

What was seen last stands in a snapshot file beside the store, because 100,000 paths are no small document. A new
snapshot gets a new name, which the state then names: a process that is killed in between leaves the old one in force.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.errors import DeclarationError, MainspringError
from mainspring.label import Label
from mainspring.schedules.sources.port import Item, Polled
from mainspring.schedules.sources.scan import Pattern, Signature, digest_of, not_there, scan, shown

if TYPE_CHECKING:
    import asyncio

CHANGES = ("created", "changed", "removed")
#: Largest file whose content is compared; of a larger one, size and time decide.
MAX_DIGESTED = 64 << 20
#: Items of one look; the rest comes with the next one.
MOST = 1000
#: Files that are watched for having settled at the same time; further ones wait their turn.
_MOST_PENDING = 2000
#: Changes since the snapshot that the state itself holds.
_MOST_CHANGES = 2000
#: A look may take this share of a core; where one takes longer, they come less often.
_SHARE = 0.02
_OLD_S = 3600.0

#: Signature and digest of a file as it was last reported; None when it was reported as removed.
_Entry = tuple[int, int, int, "str | None"]


@dataclass(slots=True)
class WatchSource:
    """Files below folders, or that match patterns.

    Args:
        paths: absolute files, folders (everything below) and patterns with ``*``, ``?``, ``[...]`` and ``**``.
        keep: a folder of ours for the snapshots, one for each watch.
        changes: which of `CHANGES` count.
        every_s: seconds between two looks, at least; with 100,000 files there are more.
        settle_s: how long a file must have been the same, by size, time and number on disk, before it counts: what is
            half written is not reported.
        existing: whether files that were there before the first look count as created.
        not_by_runs: a home, when what runs of it wrote with its tools does not count.
    """

    paths: tuple[str, ...]
    keep: Path
    changes: tuple[str, ...] = CHANGES
    every_s: float = 10.0
    settle_s: float = 2.0
    existing: bool = False
    not_by_runs: Path | None = None
    _patterns: list[Pattern] = field(init=False, repr=False)
    _loaded: tuple[str, dict[str, _Entry]] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.paths, str) or not self.paths:
            raise DeclarationError("a watch names at least one path, such as ['/srv/invoices']")
        unknown = sorted(set(self.changes) - set(CHANGES))
        if unknown or not self.changes:
            raise DeclarationError(f"a watch is for some of {CHANGES}, not {unknown or 'nothing'}")
        if not self.every_s > 0 or not self.settle_s >= 0:
            raise DeclarationError("a watch's every_s must be above 0 and its settle_s not below 0")
        self._patterns = [Pattern.of(p) for p in self.paths]

    @property
    def label(self) -> Label:
        """Of names and everything else in these folders: whoever can write there may have chosen them."""
        return Label(frozenset({f"file:{p}" for p in self.paths}))

    def poll(self, state: Mapping[str, Any], now: float) -> Polled:
        """Look for what has changed since `state`. Takes about a second for 100,000 files.

        Raises:
            MainspringError: a folder is not there, or the snapshot is lost; the state stays as it was.
        """
        begun = time.thread_time()
        seen = scan(self._patterns)
        if "snapshot" not in state:
            files = {} if self.existing else {p: (*s, None) for p, s in seen.files.items()}
            made = {"snapshot": self._write(files), "changed": {}, "pending": {}}
            return Polled((), made, now + (self.settle_s if self.existing else self.every_s))
        base = self._read(state["snapshot"])
        changed: dict[str, _Entry | None] = {p: None if e is None else _entry(e) for p, e in state["changed"].items()}
        for root in seen.missing:
            if any(p.startswith(root + "/") for p in _known(base, changed)):  # it was a folder
                raise not_there(root, "no such folder")
        pending, items, more = self._compare(base, changed, state["pending"], seen.files, seen.closed, now)
        name = state["snapshot"]
        if len(changed) > _MOST_CHANGES:
            merged = {p: e for p, e in {**base, **changed}.items() if e is not None}
            name, changed = self._write(merged), {}
        self._sweep({name, state["snapshot"]}, now)
        cost = time.thread_time() - begun
        wait = max(self.every_s, cost / _SHARE)
        if pending:
            wait = min(wait, max(self.settle_s, 50 * cost, 0.05))
        return Polled(
            tuple(items),
            {"snapshot": name, "changed": changed, "pending": pending},
            now if more else now + wait,
        )

    async def wakes(self, stop: asyncio.Event) -> AsyncIterator[None]:
        """Yields whenever something happens in the folders (inotify), so that a service need not look every few
        seconds. Ends at `stop`; where there is no inotify it yields nothing, and the next look is due anyway."""
        from watchfiles import awatch

        roots = sorted({p.root if os.path.isdir(p.root) else os.path.dirname(p.root) for p in self._patterns})
        try:
            async for _ in awatch(*roots, stop_event=stop, ignore_permission_denied=True):
                yield None
        except (OSError, RuntimeError):  # no inotify watches left, or a folder is gone
            return

    def _compare(
        self,
        base: Mapping[str, _Entry],
        changed: dict[str, _Entry | None],
        before: Mapping[str, Any],
        files: Mapping[str, Signature],
        closed: list[str],
        now: float,
    ) -> tuple[dict[str, Any], list[Item], bool]:
        """What waits, what is reported, and whether there is more. `changed` grows by what is dealt with."""
        pending: dict[str, Any] = {}
        items: list[Item] = []
        more = False
        shut = tuple(c.rstrip("/") + "/" for c in closed)
        gone = (p for p in _known(base, changed) if p not in files and not (shut and p.startswith(shut)))
        fresh = (p for p, s in files.items() if (e := changed.get(p, base.get(p))) is None or e[:3] != s)
        for path in [*fresh, *gone]:
            signature = files.get(path)
            is_now = None if signature is None else list(signature)
            since = before[path][1] if path in before and before[path][0] == is_now else now
            since = min(since, now)  # a clock that was put back must not make anything wait for years
            if now - since < self.settle_s:
                if len(pending) < _MOST_PENDING:
                    pending[path] = [is_now, since]
                continue
            if len(items) >= MOST:
                pending[path] = [is_now, since]
                more = True
                if len(pending) >= _MOST_PENDING:
                    break
                continue
            item = self._report(path, signature, changed.get(path, base.get(path)), changed)
            if item is not None:
                items.append(item)
        return pending, items, more

    def _report(
        self, path: str, signature: Signature | None, known: _Entry | None, changed: dict[str, _Entry | None]
    ) -> Item | None:
        if signature is None:
            changed[path] = None
            return self._item(path, "removed", known) if "removed" in self.changes else None
        digest = digest_of(path, signature, MAX_DIGESTED)
        entry = (*signature, digest)
        changed[path] = entry
        if known is not None and digest is not None and known[3] == digest:
            return None  # touched, or written again as it was
        kind = "created" if known is None else "changed"
        if kind not in self.changes or self._by_a_run(path, digest):
            return None
        return self._item(path, kind, entry)

    def _by_a_run(self, path: str, digest: str | None) -> bool:
        if self.not_by_runs is None or digest is None:
            return False
        from mainspring.tools.provenance import keeps_labels, provenance

        if not keeps_labels(self.not_by_runs):
            return False
        label = provenance(self.not_by_runs).label_of(path, digest)
        # A content that a run wrote, and somebody else put here, is somebody else's doing.
        return label is not None and f"steered:file:{os.path.realpath(path)}" not in label.sources

    def _item(self, path: str, change: str, entry: _Entry | None) -> Item:
        said = json.dumps([path, change, entry])
        payload: dict[str, Any] = {"path": shown(path), "change": change}
        if entry is not None and change != "removed":
            payload |= {"bytes": entry[0], "modified": entry[1] / 1e9, "sha256": entry[3]}
        return Item(hashlib.sha256(said.encode()).hexdigest(), payload, self.label, f"file {shown(path)}")

    # --- snapshots ---

    def _write(self, files: Mapping[str, _Entry]) -> str:
        data = gzip.compress(json.dumps(files).encode("ascii"), 1, mtime=0)
        name = hashlib.sha256(data).hexdigest()[:32] + ".json.gz"
        try:
            self.keep.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial = self.keep / f".{os.getpid()}-{name}"
            with open(partial, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            os.replace(partial, self.keep / name)
        except OSError as error:
            raise MainspringError(f"the watch cannot keep what it saw in {self.keep}: {error.strerror}") from None
        self._loaded = (name, dict(files))
        return name

    def _read(self, name: str) -> dict[str, _Entry]:
        if self._loaded is not None and self._loaded[0] == name:
            return self._loaded[1]
        try:
            found = json.loads(gzip.decompress((self.keep / name).read_bytes()))
            files = {p: _entry(e) for p, e in found.items()}
        except (OSError, ValueError, EOFError, TypeError) as error:
            raise MainspringError(
                f"what the watch saw last cannot be read from {self.keep / name}: {error}; remove the schedule and "
                "add it again to begin with what is there now"
            ) from None
        self._loaded = (name, files)
        return files

    def _sweep(self, used: set[str], now: float) -> None:
        """Remove old snapshots. Young ones may be another process's that is about to name them."""
        with os.scandir(self.keep) as entries:
            for entry in entries:
                if (
                    entry.name not in used
                    and entry.stat(follow_symlinks=False).st_mtime < min(now, time.time()) - _OLD_S
                ):
                    os.unlink(entry.path)


def _entry(value: Any) -> _Entry:
    size, at, number, digest = value
    return (size, at, number, digest)


def _known(base: Mapping[str, _Entry], changed: Mapping[str, _Entry | None]) -> list[str]:
    """Paths of the files that are there, as far as was reported."""
    return [p for p in base if p not in changed] + [p for p, e in changed.items() if e is not None]
