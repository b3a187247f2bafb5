"""JSON over HTTP to a server that encodes or scores: bounded reading, retries, and errors that say what to do.

The key is read from the environment at each request, goes only to the host it is for, and is in no error text.
"""

from __future__ import annotations

import email.utils
import json
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from mainspring.errors import ModelError
from mainspring.messages import valid_text
from mainspring.models import compatible

#: As for hosted models: what may succeed when asked again.
_RETRYABLE = frozenset({408, 409, 425, 429})
_MAX_DETAIL = 300


@dataclass(frozen=True, slots=True)
class Server:
    """A server and one of its models.

    Args:
        url: without a slash at its end.
        model: the model's name there.
        provider: whose usual key it takes (``"openai"``), or "".
        key_name: environment variable that holds its key; "" for the usual ones.
    """

    url: str
    model: str
    provider: str = ""
    key_name: str = ""

    @property
    def host(self) -> str:
        """Host and port, for error texts."""
        return urlsplit(self.url).netloc

    @property
    def root(self) -> str:
        """The address without ``/v1``, under which vLLM has its own paths."""
        return self.url.removesuffix("/v1")

    def key(self) -> str | None:
        """The key, or None. One that is not the host's own never goes in clear over a network."""
        own = os.environ.get(self.key_name or compatible.host_key_name(self.url))
        if own or self.key_name:
            return own
        if self.provider and (urlsplit(self.url).scheme == "https" or compatible.is_loopback(self.url)):
            return os.environ.get(f"{self.provider.upper()}_API_KEY")
        return None

    def key_comes_from(self) -> str:
        """Where its key is read from, in words."""
        if self.key_name:
            return f"the environment variable {self.key_name}"
        return compatible.credentials(self.provider, self.url)


class Client:
    """Sends JSON and reads JSON. Safe to call from several threads.

    Args:
        server: whom to ask.
        name: what to call the engine in errors.
        timeout_s: seconds for one attempt, from the first byte sent to the last one read.
        tries: attempts in all, for failures that may pass.
        max_wait_s: longest pause before another attempt; a server that asks for more is given up.
        max_answer_bytes: an answer longer than this is not read.
        sleep: waits; a test gives its own.
    """

    def __init__(
        self,
        server: Server,
        name: str,
        *,
        timeout_s: float = 120.0,
        tries: int = 4,
        max_wait_s: float = 60.0,
        max_answer_bytes: int = 256_000_000,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        import httpx2

        self.server = server
        self.name = name
        self._timeout_s = timeout_s
        self._tries = max(1, tries)
        self._max_wait_s = max_wait_s
        self._max_bytes = max_answer_bytes
        self._sleep = sleep
        self._http = httpx2.Client(
            timeout=timeout_s,
            follow_redirects=False,  # a key must not follow one to another host
            trust_env=not compatible.is_loopback(server.url),  # no proxy for this machine
            verify=server.url.lower().startswith("https"),  # without TLS, certificates need not be loaded
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        )
        self._lock = threading.Lock()
        self._closed = False

    def get(self, url: str) -> Any:
        """GET. Raises ModelError."""
        return self._again("GET", url, None)

    def post(self, url: str, body: Mapping[str, Any]) -> Any:
        """POST `body`. Raises ModelError."""
        return self._again("POST", url, json.dumps(body, ensure_ascii=False).encode())

    def close(self) -> None:
        """Close its connections."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._http.close()

    def unreadable(self, what: str, *, retryable: bool = False) -> ModelError:
        """The error for an answer that is not what was asked for."""
        return ModelError(f"{self.name} at {self.server.host} gave an unusable answer: {what}", retryable=retryable)

    def _again(self, method: str, url: str, body: bytes | None) -> Any:
        for attempt in range(1, self._tries + 1):
            try:
                return self._once(method, url, body)
            except ModelError as error:
                if not error.retryable or attempt == self._tries:
                    raise
                wait = error.retry_after_s
                if wait is None:
                    wait = min(self._max_wait_s, 0.5 * 2 ** (attempt - 1)) * random.uniform(0.8, 1.2)
                if wait > self._max_wait_s:
                    raise
                self._sleep(wait)
        raise AssertionError("unreachable")

    def _once(self, method: str, url: str, body: bytes | None) -> Any:
        import httpx2

        if self._closed:
            raise ModelError(f"{self.name} was closed; open it again")
        key = self.server.key()
        if key and not (key.isascii() and key.isprintable()):
            # The HTTP library would quote it in its error.
            raise ModelError(f"{self.server.key_comes_from()} holds no key: it has line breaks or letters no key has")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        began = time.monotonic()
        try:
            with self._http.stream(method, url, content=body, headers=headers) as response:
                data = self._read(response, began)
                status, answer_headers = response.status_code, response.headers
        except httpx2.TimeoutException:
            raise self._late() from None
        except httpx2.ConnectError as error:
            raise ModelError(
                f"{self.name} at {self.server.host} cannot be reached: {self._clean(str(error), key)}; "
                "check that the server runs, its address and the network",
                retryable=True,
            ) from None
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            said = self._clean(str(error), key) or type(error).__name__
            raise ModelError(
                f"the connection to {self.name} at {self.server.host} broke: {said}", retryable=True
            ) from None
        except (httpx2.InvalidURL, UnicodeError, ValueError) as error:
            raise ModelError(
                f"{self.name} cannot be asked: {self._clean(str(error), key)}; check its address and its key"
            ) from None
        if not 200 <= status < 300:
            raise self._refused(status, answer_headers, data, key)
        return self._parsed(data)

    def _read(self, response: Any, began: float) -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in response.iter_bytes():  # as it comes: with a size given, a slow server would not be noticed
            size += len(part)
            if size > self._max_bytes:
                raise self.unreadable(
                    f"it is longer than {self._max_bytes:,} bytes; send fewer items at once (`batch`), or raise "
                    "`max_answer_bytes`"
                )
            if time.monotonic() - began > self._timeout_s:
                raise self._late()  # also a server that sends a byte now and then is given up
            parts.append(part)
        return b"".join(parts)

    def _parsed(self, data: bytes) -> Any:
        try:
            return json.loads(data)
        except RecursionError:
            raise self.unreadable("it is nested too deeply") from None
        except ValueError:  # no JSON, no UTF-8, or a number of thousands of digits
            raise self.unreadable("it is not JSON; is this the address of such a server?", retryable=True) from None

    def _late(self) -> ModelError:
        return ModelError(
            f"{self.name} at {self.server.host} did not answer within {self._timeout_s:g} s; send fewer items at once "
            "(`batch`), or raise `timeout_s`",
            retryable=True,
        )

    def _refused(self, status: int, headers: Mapping[str, str], data: bytes, key: str | None) -> ModelError:
        said = self._clean(_message(data), key)
        detail = f" ({said})" if said else ""
        who = f"{self.name} at {self.server.host}"
        if 300 <= status < 400:
            return ModelError(f"{who} has moved (status {status}); write its new address", status=status)
        if status in (401, 403):
            return ModelError(
                f"{who} refused the credentials (status {status}){detail}; check {self.server.key_comes_from()}",
                status=status,
            )
        if status == 404:
            return ModelError(
                f"{who}: no such model or path (status 404){detail}; check the model's name and the address, and that "
                "the server serves it for this task",
                status=status,
            )
        if status == 413:
            return ModelError(
                f"{who} takes no request that large (status 413){detail}; send fewer items at once (`batch`) or "
                "smaller pictures (`max_pixels`)",
                status=status,
            )
        if status in _RETRYABLE or status >= 500:
            what = "is busy" if status in (429, 503, 529) else "failed"
            return ModelError(
                f"{who} {what} (status {status}){detail}",
                retryable=True,
                retry_after_s=_retry_after(headers.get("retry-after")),
                status=status,
            )
        return ModelError(f"{who} refused the request (status {status}){detail}", status=status)

    def _clean(self, text: str, key: str | None) -> str:
        """One line of at most 300 characters without the key, which some servers repeat."""
        if key:
            text = text.replace(key, "***")
        text = valid_text(" ".join(text.split()))
        return text if len(text) <= _MAX_DETAIL else text[: _MAX_DETAIL - 3] + "..."


def server_from(text: str, *, provider: str = "", key_name: str = "", usual: str = "") -> Server:
    """The server and model of ``URL#MODEL``, or of ``MODEL`` at the address `usual`.

    Raises:
        ModelError: it is neither.
    """
    if "://" not in text:
        if not usual:
            raise ModelError(f"{text!r} has no address; write 'http://host:port#MODEL'")
        return Server(usual, text, provider, key_name)
    address = compatible.parse(text)
    if address.url is None or address.provider:
        raise ModelError(f"{text!r} is no address; write 'http://host:port#MODEL'")
    return Server(address.url, address.model, provider, key_name)


def _message(data: bytes) -> str:
    """What the server says in the body of a refusal."""
    try:
        found = json.loads(data[:100_000])
    except (ValueError, RecursionError):
        return data[:_MAX_DETAIL].decode("utf-8", "replace")
    for _ in range(4):
        if isinstance(found, str):
            return found
        if isinstance(found, list) and found:
            found = found[0]
        elif isinstance(found, dict):
            found = next((found[key] for key in ("message", "error", "detail", "msg") if found.get(key)), None)
    return found if isinstance(found, str) else ""


def _retry_after(text: str | None) -> float | None:
    """Seconds of a Retry-After header: a number or a date."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, seconds) if seconds == seconds else None
