"""Webhooks: an ASGI app that checks who sent a delivery and writes it to disk before it says yes.

What an outsider can find out is the same whether a hook exists or not: a signature that does not fit, a hook that is
not there and a replay outside the window all get the same 401. No token stands in a URL.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainspring.errors import DeclarationError, StoreError, ToolError
from mainspring.schedules.sources.deliveries import Tray
from mainspring.schedules.sources.limits import Bucket
from mainspring.schedules.sources.signatures import SCHEMES, key_of, read, verified
from mainspring.store import Store
from mainspring.threads import in_thread

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

#: Kind of the documents that hold what was delivered.
DELIVERY = "delivery"
#: Headers that a firing is told; everything else may hold credentials.
TOLD = ("content-type", "user-agent", "x-github-event", "x-github-delivery", "webhook-id")
#: Bodies that are read at the same time; further senders are told to come again.
MOST_READ = 256
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")
_REFERENCE = re.compile(r"secret:[A-Za-z_][A-Za-z0-9_.-]{0,99}\Z")
#: A key that nobody has: what is compared with when there is no hook, so that the answer takes as long.
_NO_KEY = base64.b64encode(b"no hook of this name").decode()


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook that something may be delivered to, at ``/hooks/NAME``.

    Args:
        name: letters, digits, ``_``, ``-`` and ``.``; no secret, as it stands in the address.
        secrets: references such as ``("secret:github",)``. With two, either fits: that is how a key is changed
            without losing a delivery.
        scheme: how deliveries are signed, one of `SCHEMES`.
        content_types: those that are taken; the part before ``;`` counts.
        max_pending: how many may wait for a firing; then senders are told to come again (503).
        window_s: how many seconds a signed time may lie before or behind our clock.
        per_minute: how many rightly signed deliveries are taken in a minute.

    Raises:
        DeclarationError: something does not fit.
    """

    name: str
    secrets: tuple[str, ...]
    scheme: str = "timestamp"
    content_types: tuple[str, ...] = ("application/json", "application/x-www-form-urlencoded", "text/plain")
    max_pending: int = 1000
    window_s: float = 300.0
    per_minute: int = 600

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.match(self.name):
            raise DeclarationError(
                f"webhook {self.name!r}: a name is 1 to 100 letters, digits, '_', '-' or '.', such as 'orders'"
            )
        if self.scheme not in SCHEMES:
            raise DeclarationError(f"webhook {self.name!r}: scheme {self.scheme!r} is unknown; use one of {SCHEMES}")
        if isinstance(self.secrets, str) or not 1 <= len(self.secrets) <= 4:
            raise DeclarationError(f"webhook {self.name!r}: secrets lists one to four references such as 'secret:hook'")
        if not all(isinstance(s, str) and _REFERENCE.match(s) for s in self.secrets):
            raise DeclarationError(
                f"webhook {self.name!r}: a key is named as 'secret:NAME' and declared under [secrets]; it is not "
                "written here"
            )
        for what in ("max_pending", "window_s", "per_minute"):
            if not getattr(self, what) > 0:
                raise DeclarationError(f"webhook {self.name!r}: {what} must be above 0, not {getattr(self, what)!r}")


class _Refused(Exception):
    """A delivery that is answered with a status and nothing else."""

    def __init__(self, status: int, retry_after_s: int | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.retry_after_s = retry_after_s


class Gate:
    """Decides about deliveries and keeps them. The app below only carries bytes to and from it.

    Args:
        resolve: gives the value of a reference, such as `Secrets.resolve`. Asked at each delivery, so that a key can
            be changed without a restart.
    """

    def __init__(
        self, store: Store, hooks: Sequence[Hook], resolve: Callable[[str], str], clock: Callable[[], float] = time.time
    ) -> None:
        self.hooks = {hook.name: hook for hook in hooks}
        if len(self.hooks) != len(hooks):
            raise DeclarationError("two webhooks have the same name; rename one")
        self._store = store
        self._resolve = resolve
        self._clock = clock
        self._rate = {h.name: Bucket(h.per_minute, clock) for h in hooks}
        self._underway = {h.name: 0 for h in hooks}
        self._lock = threading.Lock()

    def admit(self, name: str, headers: Sequence[tuple[str, str]], body: bytes) -> str:
        """Keep a delivery: ``"kept"``, or ``"known"`` for a repeated one. On disk when it returns.

        Raises:
            _Refused: with the status that its sender is told.
            StoreError: it could not be written.
        """
        now = self._clock()
        hook = self.hooks.get(name)
        scheme = hook.scheme if hook is not None else "timestamp"
        signed = read(scheme, headers, body)
        good = signed is not None and verified(signed, self._keys(hook))
        if hook is None or signed is None or not good or not self._fresh(hook, signed.at, now):
            raise _Refused(401)
        self._check_type(hook, headers)
        tray = Tray(self._store, DELIVERY, name)
        if tray.known(signed.id):
            return "known"
        if not self._rate[name].take():
            raise _Refused(429, 10)
        with self._lock:  # so that many at once do not all take the last free place
            if len(tray.waiting(hook.max_pending)) + self._underway[name] >= hook.max_pending:
                raise _Refused(503, 30)
            self._underway[name] += 1
        try:
            return "kept" if tray.put(signed.id, self._document(headers, body), now) else "known"
        finally:
            with self._lock:
                self._underway[name] -= 1

    def _keys(self, hook: Hook | None) -> list[bytes]:
        if hook is None:
            return [key_of("timestamp", _NO_KEY)]
        found = []
        for reference in hook.secrets:
            try:
                found.append(key_of(hook.scheme, self._resolve(reference)))
            except (ToolError, DeclarationError):
                continue  # the other key may still fit; without any, nothing is let in
        return found or [secrets.token_bytes(32)]

    @staticmethod
    def _fresh(hook: Hook, at: float | None, now: float) -> bool:
        return at is None or abs(now - at) <= hook.window_s

    @staticmethod
    def _check_type(hook: Hook, headers: Sequence[tuple[str, str]]) -> None:
        kinds = {v.partition(";")[0].strip().lower() for n, v in headers if n.lower() == "content-type"}
        encoded = any(n.lower() == "content-encoding" and v.strip().lower() != "identity" for n, v in headers)
        if len(kinds) != 1 or not kinds <= set(hook.content_types) or encoded:  # what is packed may unpack to anything
            raise _Refused(415)

    @staticmethod
    def _document(headers: Sequence[tuple[str, str]], body: bytes) -> dict[str, Any]:
        told = {n.lower(): v[:500] for n, v in headers if n.lower() in TOLD}
        try:
            return {"headers": told, "body": body.decode("utf-8")}
        except UnicodeDecodeError:
            return {"headers": told, "base64": base64.b64encode(body).decode("ascii")}

    def check(self) -> dict[str, str]:
        """Hook -> what is wrong with its keys, for a service that starts; no value is quoted."""
        wrong: dict[str, str] = {}
        for hook in self.hooks.values():
            for reference in hook.secrets:
                try:
                    key_of(hook.scheme, self._resolve(reference))
                except (ToolError, DeclarationError) as error:
                    wrong[hook.name] = str(error)
        return wrong


def webhook_app(
    store: Store,
    hooks: Sequence[Hook],
    resolve: Callable[[str], str],
    *,
    max_bytes: int = 1 << 20,
    read_s: float = 30.0,
    clock: Callable[[], float] = time.time,
    wake: Callable[[str], None] = lambda name: None,
) -> Starlette:
    """The app, with the route ``POST /hooks/NAME``: for `mainspring serve`, or alone under uvicorn.

    Answers: 202 kept, 200 known already, 401 anything that is not rightly signed (or no such hook), 408 too slow,
    413 too large, 415 of another type, 429 too many, 503 too many wait or the disk is full: come again.

    Args:
        resolve: gives the value of a reference; `mainspring.secrets.Secrets(...).resolve`.
        max_bytes: the largest body, for all hooks alike.
        read_s: seconds for which the body may take to arrive.
        wake: called with the hook's name after a delivery is on disk.

    Raises:
        DeclarationError: two hooks have one name.
    """
    from starlette.applications import Starlette
    from starlette.requests import ClientDisconnect
    from starlette.responses import Response
    from starlette.routing import Route

    gate = Gate(store, hooks, resolve, clock)
    reading = 0

    async def deliver(request: Request) -> Response:
        nonlocal reading
        name = request.path_params["name"]
        if reading >= MOST_READ:  # before anybody is known: what is being read takes memory
            return Response(status_code=503, headers={"Retry-After": "5"})
        reading += 1
        try:
            body = await asyncio.wait_for(_read(request, max_bytes), read_s)
            headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in request.headers.raw]
            kept = await in_thread(functools.partial(gate.admit, name, headers, body))
        except TimeoutError:
            return Response(status_code=408)
        except ClientDisconnect:
            return Response(status_code=400)
        except StoreError:  # not on disk, so not acknowledged; why is ours to know
            return Response(status_code=503, headers={"Retry-After": "30"})
        except _Refused as refused:
            return Response(status_code=refused.status, headers=_later(refused))
        finally:
            reading -= 1
        if kept == "kept":
            wake(name)
        return Response(status_code=202 if kept == "kept" else 200)

    return Starlette(routes=[Route("/hooks/{name}", deliver, methods=["POST"])])


def _later(refused: _Refused) -> Mapping[str, str] | None:
    return None if refused.retry_after_s is None else {"Retry-After": str(refused.retry_after_s)}


async def _read(request: Request, max_bytes: int) -> bytes:
    """The body, read in pieces and given up as soon as it is too large, whatever its headers say."""
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said[:20]) > max_bytes:
        raise _Refused(413)
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > max_bytes:
            raise _Refused(413)
    return bytes(body)
