"""Engines that write down speech: a server's, or faster-whisper in this process."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mainspring.errors import ModelError, ToolError
from mainspring.library.sight.lines import clean
from mainspring.library.sight.transcripts import Cue, Transcriber, regular

_OPENAI = "api.openai.com"
#: An answer that is longer is not read.
_MOST_ANSWER = 64 << 20


def open_transcriber(name: str) -> Transcriber:
    """Open the transcriber called `name`.

    Names:
        - ``"http://host:8000/v1#MODEL"``: a server with OpenAI's ``/v1/audio/transcriptions``.
        - ``"faster-whisper:FOLDER"``: `FasterWhisper` in this process.

    Raises:
        ModelError: the name is neither, or it cannot be used.
    """
    from mainspring.models import compatible

    kind, _, folder = name.partition(":")
    if kind == "faster-whisper":
        return FasterWhisper(Path(folder).expanduser())
    if "://" not in name:
        raise ModelError(f"{name!r} is no transcriber; write 'http://host:port/v1#MODEL' or 'faster-whisper:FOLDER'")
    address = compatible.parse(name)
    assert address.url is not None  # what has :// and is understood has one
    return HttpTranscriber(address.url, address.model)


@dataclass(frozen=True)
class HttpTranscriber:
    """An engine behind OpenAI's ``/v1/audio/transcriptions`` (vLLM, speaches, whisper.cpp's server, OpenAI).

    The key is read from the environment at each request: `key_name`, else ``MAINSPRING_KEY_<HOST>``, else for OpenAI
    itself ``OPENAI_API_KEY``. Redirects are not followed.

    Args:
        url: up to and with ``/v1``.
        model: as the server calls it.
        key_name: the environment variable that holds its key; "" for the usual ones.
        seconds: time for one recording.
        bytes_: largest file that is sent.
    """

    url: str
    model: str
    key_name: str = ""
    seconds: float = 600.0
    bytes_: int = 512 << 20

    @property
    def name(self) -> str:
        """Model and server."""
        return f"{self.model} at {urlsplit(self.url).netloc}"

    def transcribe(self, path: Path) -> tuple[Cue, ...]:
        """As `Transcriber.transcribe`."""
        status, data = self._asked(path)
        if status != 200:
            raise ModelError(
                f"{self.name} answers {status}: {self._clean(data.decode('utf-8', 'replace'))}",
                retryable=status in (408, 429) or status >= 500,
                status=status,
            )
        try:
            return _segments(json.loads(data))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ModelError(f"{self.name} answers with something that is no transcript: {error!r}") from error

    def _asked(self, path: Path) -> tuple[int, bytes]:
        """Status and body of the server's answer."""
        import httpx2

        from mainspring.models import compatible

        key = self._key()
        asked = {"model": self.model, "response_format": "verbose_json", "timestamp_granularities[]": "segment"}
        until = time.monotonic() + self.seconds
        data = b""
        try:
            with (
                regular(path) as file,
                httpx2.Client(
                    timeout=self.seconds,
                    follow_redirects=False,  # a key must not follow one to another host
                    trust_env=not compatible.is_loopback(self.url),  # no proxy for this machine
                    headers={"Authorization": f"Bearer {key}"} if key else {},
                ) as client,
            ):
                size = os.fstat(file.fileno()).st_size
                if size > self.bytes_:
                    raise ToolError(
                        f"{path.name} has {size:,} bytes, more than the {self.bytes_:,} that are sent to {self.name}"
                    )
                with client.stream(
                    "POST",
                    f"{self.url.rstrip('/')}/audio/transcriptions",
                    data=asked,
                    files={"file": (path.name, file)},
                ) as answer:
                    for part in answer.iter_bytes():
                        data += part
                        if len(data) > _MOST_ANSWER or time.monotonic() > until:
                            raise ModelError(f"{self.name} answers with more than can be a transcript, or too slowly")
                    return answer.status_code, data
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise ModelError(f"{self.name} does not answer: {self._clean(str(error))}", retryable=True) from None
        except OSError as error:
            raise ToolError(f"{path.name} cannot be read: {error.strerror or error}") from None

    def _key(self) -> str | None:
        """The key, or None. OpenAI's own goes nowhere else, and none goes where it cannot be sent."""
        from mainspring.models import compatible

        key = os.environ.get(self.key_name or compatible.host_key_name(self.url))
        if not key and not self.key_name and self.url.startswith(f"https://{_OPENAI}/"):
            key = os.environ.get("OPENAI_API_KEY")
        if key and not (key.isascii() and key.isprintable()):
            raise ModelError(f"the key for {self.name} has line breaks or letters that no key has")
        return key or None

    def _clean(self, text: str) -> str:
        """One short line without the key, which some servers repeat."""
        key = self._key()
        return " ".join(clean(text.replace(key, "***") if key else text).split())[:300]


def _segments(answer: Any) -> tuple[Cue, ...]:
    """The cues of a ``verbose_json`` answer; one cue for all when the server gives no segments."""
    if answer.get("segments"):
        cues = [Cue(float(s["start"]), float(s["end"]), clean(str(s["text"]))) for s in answer["segments"]]
    else:
        cues = [Cue(0.0, float(answer.get("duration") or 0.0), clean(str(answer["text"])))]
    return tuple(sorted((cue for cue in cues if cue.text), key=lambda cue: cue.begins_s))


class FasterWhisper:
    """`faster-whisper`, where it is installed (it is not among Mainspring's extras).

    Args:
        model: a folder with its weights; names of models that would have to be fetched are refused.

    Raises:
        ModelError: it is not installed, or there is no such folder.
    """

    def __init__(self, model: Path) -> None:
        if find_spec("faster_whisper") is None:
            raise ModelError("faster-whisper is not installed: pip install faster-whisper, or use a server's URL")
        if not model.is_dir():
            raise ModelError(f"{model} is no folder with a model of faster-whisper; download one and name its folder")
        self._folder = model
        self._model: Any = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return f"faster-whisper {self._folder.name}"

    def transcribe(self, path: Path) -> tuple[Cue, ...]:
        """As `Transcriber.transcribe`."""
        from faster_whisper import WhisperModel  # type: ignore[import-not-found, unused-ignore]

        with self._lock:  # one recording at a time, as each may take all processors
            self._model = self._model or WhisperModel(str(self._folder), device="cpu", local_files_only=True)
            segments, _ = self._model.transcribe(str(path))
            found = [Cue(float(s.start), float(s.end), clean(str(s.text))) for s in segments]
        return tuple(cue for cue in found if cue.text)
