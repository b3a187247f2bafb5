"""The connection to Qdrant: its key, its failures as StoreError, and one caller at a time where it needs that."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mainspring.errors import StoreError
from mainspring.models import compatible


class Connection:
    """Calls Qdrant.

    Args:
        where: URL of the server, or a folder for the local mode.
        key_name: environment variable that holds the key; ``MAINSPRING_KEY_<HOST>`` or ``QDRANT_API_KEY`` when "".
        timeout_s: seconds for one request.
        grpc: use gRPC where it can, which is faster for wide vectors; needs the server's second port.

    Raises:
        StoreError: the folder is in use by another process, or the address is wrong.
    """

    def __init__(self, where: str, *, key_name: str = "", timeout_s: int = 60, grpc: bool = False) -> None:
        from qdrant_client import QdrantClient

        self._remote = where.lower().startswith(("http://", "https://"))
        self._key = _key(where, key_name) if self._remote else None
        #: The local mode keeps no order between threads of its own.
        self._lock = threading.RLock()
        if self._remote and urlsplit(where).username is not None:
            raise StoreError(f"an address must not hold a user or a key; put it into {compatible.host_key_name(where)}")
        self._said = urlsplit(where).netloc if self._remote else where
        try:
            if self._remote:
                self._client = QdrantClient(
                    url=where, api_key=self._key, timeout=timeout_s, prefer_grpc=grpc, check_compatibility=False
                )
            else:
                folder = str(Path(where).expanduser())
                self._client = QdrantClient(path=folder, force_disable_check_same_thread=True)
        except RuntimeError as error:
            raise StoreError(
                f"the Qdrant folder {where} is open in another process ({_line(error)}); use a server for several"
            ) from None
        except (OSError, ValueError) as error:
            raise StoreError(f"Qdrant at {self._said} cannot be opened: {_line(error)}") from None

    def call(self, method: str, /, *args: Any, **options: Any) -> Any:
        """A method of `qdrant_client.QdrantClient`. Raises StoreError."""
        from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

        try:
            if self._remote:
                return getattr(self._client, method)(*args, **options)
            with self._lock:
                return getattr(self._client, method)(*args, **options)
        except UnexpectedResponse as error:
            raise StoreError(self._refused(error.status_code or 0, bytes(error.content or b""))) from None
        except ApiException as error:
            raise StoreError(
                f"Qdrant at {self._said} cannot be reached ({self._clean(_line(error))}); check that the server runs, "
                "its address and the network"
            ) from None
        except (OSError, ValueError, RuntimeError) as error:
            raise StoreError(f"Qdrant at {self._said} failed: {self._clean(_line(error))}") from None
        except (AssertionError, AttributeError, KeyError, IndexError, OverflowError, TypeError) as error:
            if not self._remote:
                raise
            # The client trusts its server: what it stumbles over is an answer of another shape.
            raise StoreError(
                f"Qdrant at {self._said} answered {method} with what cannot be read "
                f"({type(error).__name__}: {self._clean(_line(error))}); check that it is a Qdrant server"
            ) from None
        except Exception as error:
            # gRPC's errors have no base class that is worth its import; ours and programming errors pass.
            if not type(error).__module__.startswith("grpc"):
                raise
            raise StoreError(f"Qdrant at {self._said} failed: {self._clean(_line(error))}") from None

    def close(self) -> None:
        """Close it."""
        with self._lock:
            self._client.close()

    def _refused(self, status: int, content: bytes) -> str:
        said = self._clean(" ".join(content[:2_000].decode("utf-8", "replace").split()))
        if status in (401, 403):
            return f"Qdrant at {self._said} refused the key (status {status}); check its environment variable"
        return f"Qdrant at {self._said} refused the request (status {status}): {said}"

    def _clean(self, text: str) -> str:
        text = text.replace(self._key, "***") if self._key else text
        return text if len(text) <= 300 else text[:297] + "..."


def _key(url: str, key_name: str) -> str | None:
    """The server's own key, or the usual one, but that never in clear over a network."""
    own = os.environ.get(key_name or compatible.host_key_name(url))
    if own or key_name:
        return own
    safe = urlsplit(url).scheme == "https" or compatible.is_loopback(url)
    return os.environ.get("QDRANT_API_KEY") if safe else None


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
