"""Fetching a GGUF file from a Hugging Face repository, or a server that speaks its protocol (``HF_ENDPOINT``).

The first answer to ``/ORG/REPO/resolve/REVISION/FILE`` names size, commit and, for large files, the SHA-256; the bytes
then come from wherever it redirects to. A broken download goes on where it stopped. ``HF_TOKEN`` is sent to the
endpoint only, never to the host that it redirects to.
"""

from __future__ import annotations

import http.client
import os
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from email.message import Message as Headers
from pathlib import Path
from typing import IO, Any

from mainspring.errors import ModelError
from mainspring.models.local.folders import digest_of, is_unchanged, make_folder, only_one, remember
from mainspring.models.local.progress import Progress, Report

_CHUNK = 1 << 18
_TIMEOUT_S = 60.0
_TRIES_WITHOUT_PROGRESS = 4
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_SHARD = re.compile(r"(.*)-00001-of-(\d{5})\.gguf")


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a repository at a revision (a branch, tag or commit)."""

    repository: str
    path: str
    revision: str = "main"

    @property
    def url(self) -> str:
        """Where it is asked for."""
        quoted = urllib.parse.quote(self.path)
        return f"{endpoint()}/{self.repository}/resolve/{urllib.parse.quote(self.revision, safe='')}/{quoted}"

    def shards(self) -> list[HubFile]:
        """All files of a model that is split into several, the first one first."""
        found = _SHARD.fullmatch(self.path)
        if found is None:
            return [self]
        count = int(found[2])
        names = [f"{found[1]}-{n:05d}-of-{count:05d}.gguf" for n in range(1, count + 1)]
        return [HubFile(self.repository, name, self.revision) for name in names]


def parse_hub_name(text: str) -> HubFile:
    """``ORG/REPO/FILE.gguf`` or ``ORG/REPO@REVISION/FILE.gguf``, as a file. Raises ModelError when it is neither."""
    found = re.fullmatch(rf"({_NAME})/({_NAME})(?:@({_NAME}))?/([^\0]+\.gguf)", text)
    if found is None or any(step in ("", ".", "..") for step in found[4].split("/")):
        raise ModelError(f"hf/{text} names no file of a repository; write hf/ORG/REPO/FILE.gguf")
    return HubFile(f"{found[1]}/{found[2]}", found[4], found[3] or "main")


def endpoint() -> str:
    """``HF_ENDPOINT`` or the public one. Raises ModelError when it is no web address."""
    text = os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"
    if not text.startswith(("https://", "http://")):
        raise ModelError(f"HF_ENDPOINT is {text!r}; set it to an address that begins with https://")
    return text


def fetch(file: HubFile, *, stop: threading.Event | None = None, report: Report | None = None) -> Path:
    """The local path of `file` (its first shard), downloaded when it is not there yet.

    A file that was fetched before is used without asking the network, until it is deleted.

    Raises:
        ModelError: no such file, no right to it, no network, a full disk, or bytes that do not match.
    """
    stop = stop or threading.Event()
    paths = [_fetch_one(shard, stop, report) for shard in file.shards()]
    return paths[0]


def _fetch_one(file: HubFile, stop: threading.Event, report: Report | None) -> Path:
    folder = make_folder("models", "hf", *file.repository.split("/"), file.revision, *file.path.split("/")[:-1])
    path = folder / file.path.rsplit("/", 1)[-1]
    with Progress(f"Fetching {path.name}") as shown:
        busy = f"Another process is fetching {path.name}; waiting for it"
        try:
            with only_one(path, stop, lambda: shown.note(busy)):
                if not is_unchanged(path):
                    _Download(file, path, stop, report or shown).run()
        except urllib.error.URLError as error:
            raise _unreachable(file, error.reason) from None
        except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
            raise _unreachable(file, error) from None
        except OSError as error:
            raise ModelError(
                f"cannot store {path}: {error.strerror or error}; make room or set MAINSPRING_CACHE"
            ) from None
    return path


def _unreachable(file: HubFile, reason: object) -> ModelError:
    return ModelError(f"cannot reach {file.url}: {reason}; check the network or HF_ENDPOINT", retryable=True)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the endpoint says of a file before sending it."""

    size: int
    tag: str
    sha256: str | None
    location: str


class _Stay(urllib.request.HTTPRedirectHandler):
    """Hands redirects back instead of following them."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        return None


class _Download:
    def __init__(self, file: HubFile, path: Path, stop: threading.Event, report: Report) -> None:
        self.file = file
        self.path = path
        self.stop = stop
        self.report = report
        self.opener = urllib.request.build_opener(_Stay)

    def run(self) -> None:
        """Fetch, check, and put in place."""
        facts = self._ask()
        kept = re.sub(r"[^A-Za-z0-9]", "", facts.tag)[:24] or "untagged"
        partial = self.path.with_name(f"{self.path.name}.{kept}.partial")
        failures = 0
        while (size := partial.stat().st_size if partial.exists() else 0) < facts.size:
            self._check_stop()
            try:
                self._receive(facts, partial, size)
            except (TimeoutError, ConnectionError, http.client.HTTPException, urllib.error.URLError) as error:
                if isinstance(error, urllib.error.HTTPError):
                    raise self._refused(error.code, error.headers) from None
                if partial.exists() and partial.stat().st_size > size:
                    failures = 0
                failures += 1
                if failures >= _TRIES_WITHOUT_PROGRESS:
                    raise
                self.stop.wait(0.5 * 2**failures)
                facts = self._ask()  # signed addresses expire
        self._check(facts, partial, size)
        os.replace(partial, self.path)

    def _check(self, facts: _Facts, partial: Path, size: int) -> None:
        found = digest_of(partial, self.stop)
        if size != facts.size or found != (facts.sha256 or found):
            partial.unlink()
            raise ModelError(
                f"the bytes of {self.file.path} are not the ones that {self.file.repository} publishes; they were "
                f"deleted: expected {facts.size} bytes with SHA-256 {facts.sha256}, found {size} with {found}"
            )
        remember(partial, found, beside=self.path)

    def _check_stop(self) -> None:
        if self.stop.is_set():
            raise ModelError(f"the download of {self.file.path} was stopped", retryable=True)

    def _open(self, method: str, url: str, headers: dict[str, str]) -> Any:
        if not url.startswith(("https://", "http://")):
            raise ModelError(f"{self.file.url} leads to {url!r}, which is no web address")
        if (token := os.environ.get("HF_TOKEN")) and _origin(url) == _origin(endpoint()):
            headers = {**headers, "Authorization": f"Bearer {token}"}
        headers = {"Accept-Encoding": "identity", "User-Agent": "mainspring", **headers}
        return self.opener.open(urllib.request.Request(url, method=method, headers=headers), timeout=_TIMEOUT_S)

    def _ask(self) -> _Facts:
        """Size, tag and digest from the endpoint itself; redirects inside it (a renamed repository) are followed."""
        url = self.file.url
        for _ in range(5):
            try:
                with self._open("HEAD", url, {}) as answer:
                    return self._facts(answer.headers, url)
            except urllib.error.HTTPError as error:
                if error.code not in (301, 302, 303, 307, 308):
                    raise self._refused(error.code, error.headers) from None
                target = urllib.parse.urljoin(url, error.headers.get("Location", ""))
                if error.headers.get("X-Linked-Size") or _origin(target) != _origin(url):
                    return self._facts(error.headers, target)
                url = target
        raise ModelError(f"{self.file.url} redirects in circles")

    def _facts(self, headers: Headers, location: str) -> _Facts:
        length = headers.get("X-Linked-Size") or headers.get("Content-Length") or ""
        if not length.isdigit():
            raise ModelError(f"{self.file.url} does not say how long the file is; is HF_ENDPOINT right?")
        tag = (headers.get("X-Linked-ETag") or headers.get("ETag") or "").removeprefix("W/").strip('"')
        return _Facts(int(length), tag, tag if re.fullmatch(r"[0-9a-f]{64}", tag) else None, location)

    def _receive(self, facts: _Facts, partial: Path, size: int) -> None:
        """Append what is missing to `partial`; an answer that ends early just returns."""
        url = facts.location
        for _ in range(5):
            try:
                with self._open("GET", url, {"Range": f"bytes={size}-"} if size else {}) as answer:
                    return self._store(answer, facts, partial, size)
            except urllib.error.HTTPError as error:
                if error.code == 416:
                    partial.unlink(missing_ok=True)
                    return None
                if error.code not in (301, 302, 303, 307, 308):
                    raise
                url = urllib.parse.urljoin(url, error.headers.get("Location", ""))
        raise ModelError(f"{self.file.url} redirects in circles")

    def _store(self, answer: Any, facts: _Facts, partial: Path, size: int) -> None:
        start = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range") or "")
        resumed = answer.status == 206 and start is not None and int(start[1]) == size
        at = size if resumed else 0
        with partial.open("r+b" if resumed else "wb") as out:
            out.seek(at)
            while chunk := answer.read(_CHUNK):
                at += len(chunk)
                if at > facts.size:
                    raise ModelError(f"{self.file.url} sends more than the {facts.size} bytes that it announced")
                out.write(chunk)
                self.report(at, facts.size)
                self._check_stop()
            out.flush()
            os.fsync(out.fileno())
        if at < facts.size:
            raise ConnectionError(f"the connection ended at {at} of {facts.size} bytes")

    def _refused(self, code: int, headers: Headers) -> ModelError:
        said = headers.get("X-Error-Message") or http.client.responses.get(code, "")
        advice = {
            401: "it does not exist, or needs a token: set HF_TOKEN",
            403: "its owner has to let you in: accept the conditions on its page and set HF_TOKEN",
            404: "check the names of organisation, repository and file",
        }.get(code, "try again later")
        wait = headers.get("Retry-After") or ""
        return ModelError(
            f"{self.file.url} answered {code} {said}: {advice}",
            retryable=code == 429 or code >= 500,
            retry_after_s=float(wait) if wait.isdigit() else None,
            status=code,
        )


def _origin(url: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc.lower()
