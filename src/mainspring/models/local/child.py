"""The engine's process: runs llama.cpp and talks to its parent in lines of JSON.

Started as a script of its own, with nothing but the standard library and xllamacpp, so that a crash of the native
code ends this process and never the run. Standard input carries requests, standard output carries frames;
whatever llama.cpp prints goes to the log file that the parent made standard error.

Requests::

    {"id": 1, "messages": [{"role", "content"}, ...], "prefill": "", "schema": {...} | null, "params": {...}}
    {"cancel": 1}

Frames::

    {"ready": true} | {"failed": "why"} | {"bye": true}
    {"id": 1, "reading": [tokens of the prompt read, tokens in all]}
    {"id": 1, "text": "piece"}
    {"id": 1, "done": {"finish": "stop" | "length", "prompt": n, "cached": n, "output": n, "prompt_ms", "output_ms"}}
    {"id": 1, "error": {"message": "...", "type": "...", ...}}
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import importlib
import json
import os
import queue
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
_FOLDER = "mainspring-engine-"
_LOOK_BACK, _LOOK_AHEAD = 6, 12  # tokens that must have occurred before, and tokens guessed from what followed them


def die_with(parent: int) -> None:
    """Ask the kernel to end this process with its parent (Linux); elsewhere the closed pipe does it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def sweep() -> None:
    """Remove the folders of engines that were killed before they could do it."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        number = folder.name.removeprefix(_FOLDER).split("-")[0]
        if number.isdigit() and not _runs(int(number)):  # others' folders refuse to go
            shutil.rmtree(folder, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Wire:
    """The way back to the parent: frames on the standard output that this process was born with."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
        os.dup2(2, 1)  # llama.cpp prints to the log from here on
        self._lock = threading.Lock()

    def send(self, frame: dict[str, Any]) -> None:
        """Write one frame; a parent that is gone ends this process."""
        try:
            with self._lock:
                self._out.write(json.dumps(frame, ensure_ascii=True) + "\n")
                self._out.flush()
        except OSError:
            os._exit(0)


class Engine:
    """llama.cpp's server inside this process, reached by calls and by a socket that only we can see."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._x: Any = importlib.import_module("xllamacpp")
        sweep()
        self._folder = tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-")
        self._socket = os.path.join(self._folder, "s.sock")  # the name's suffix selects a UNIX socket
        params = self._x.CommonParams()
        params.model.path = config["path"]
        params.n_ctx = config["context"]
        params.n_batch = params.n_ubatch = config["batch"]
        params.n_parallel = 1
        params.cache_ram_mib = config["cache_mib"]
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = config["threads"]
        params.cpuparams.poll = params.cpuparams_batch.poll = 0
        # Work on code repeats what the prompt holds. Guessing the next tokens from there and checking them in one go
        # leaves the answer as it is and halves its time.
        params.speculative.types = [self._x.common_speculative_type.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
        params.speculative.ngram_simple.size_n = _LOOK_BACK
        params.speculative.ngram_simple.size_m = _LOOK_AHEAD
        params.hostnames = [self._socket]
        params.warmup = params.fit_params = params.ui = params.endpoint_slots = False
        try:
            self._server: Any = self._x.Server(params)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def close(self) -> None:
        """Remove what lies on disk; the memory goes with the process."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def render(self, messages: list[dict[str, str]]) -> str:
        """The prompt that the model's own chat template makes of `messages`."""
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(self._socket)
        except OSError as error:
            # Something cleaned the temporary folder. Ending here lets the next call start with a new one.
            print(f"mainspring E the engine's socket is gone: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        with contextlib.closing(connection):
            body = json.dumps({"messages": messages})
            connection.request("POST", "/apply-template", body, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
        if "prompt" not in answer:
            raise ValueError(str(answer.get("error", answer))[:500])
        return str(answer["prompt"])

    def grammar(self, schema: dict[str, Any]) -> str:
        """llama.cpp's grammar for `schema`, with the whitespace that `json.dumps` writes."""
        guidance = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": ", "lenient": True}
        text = str(self._x.json_schema_to_grammar(schema))
        if text.startswith("%llguidance"):
            return str(self._x.json_schema_to_grammar({**schema, "x-guidance": guidance}))
        return text.replace('space ::= | " " | "\\n"{1,2} [ \\t]{0,20}', 'space ::= " "?')

    def complete(self, request: dict[str, Any], wire: Wire, cancelled: threading.Event) -> None:
        """Answer one request with frames."""
        number = request["id"]
        body = dict(request["params"])
        body["prompt"] = self.render(request["messages"]) + request["prefill"]
        body["stream"] = body["cache_prompt"] = body["return_progress"] = True
        if request["schema"] is not None:
            body["grammar"] = self.grammar(request["schema"])
        finish: str | None = None

        def piece(frame: dict[str, Any]) -> bool:
            nonlocal finish
            if "error" in frame:
                finish = "error"
                wire.send({"id": number, "error": frame["error"]})
                return True
            if reading := frame.get("prompt_progress"):
                wire.send({"id": number, "reading": [reading["processed"], reading["total"]]})
            choice = frame["choices"][0]
            if choice["text"]:
                wire.send({"id": number, "text": choice["text"]})
            if choice["finish_reason"] is not None:
                finish = choice["finish_reason"]
                timings = frame.get("timings", {})
                done = {
                    "finish": finish,
                    "cached": timings.get("cache_n", 0),
                    "prompt": timings.get("cache_n", 0) + timings.get("prompt_n", 0),
                    "output": timings.get("predicted_n", 0),
                    "prompt_ms": timings.get("prompt_ms", 0.0),
                    "output_ms": timings.get("predicted_ms", 0.0),
                }
                wire.send({"id": number, "done": done})
            return cancelled.is_set()

        if not cancelled.is_set():
            self._server.handle_completions(body, piece)
        if finish is None:
            wire.send({"id": number, "error": {"type": "cancelled", "message": "the call was cancelled"}})


def read_requests(requests: queue.SimpleQueue[dict[str, Any]], flags: dict[int, threading.Event]) -> None:
    """Take requests from standard input; its end is the parent's end."""
    for line in sys.stdin:
        frame = json.loads(line)
        if "cancel" in frame:
            if flag := flags.get(frame["cancel"]):
                flag.set()
        else:
            flags[frame["id"]] = threading.Event()
            requests.put(frame)
    os._exit(0)


def main(config: dict[str, Any]) -> None:
    """Load the model, then answer requests one after the other until the parent goes or nobody asks."""
    die_with(config["parent"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    wire = Wire()
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    flags: dict[int, threading.Event] = {}
    threading.Thread(target=read_requests, args=(requests, flags), daemon=True).start()
    started = time.monotonic()
    try:
        engine = Engine(config)
    except Exception as error:
        wire.send({"failed": f"{type(error).__name__}: {error}"})
        os._exit(1)
    wire.send({"ready": True, "seconds": time.monotonic() - started})
    while True:
        try:
            request = requests.get(timeout=config["idle_s"])
        except queue.Empty:
            engine.close()
            wire.send({"bye": True})
            os._exit(0)
        try:
            engine.complete(request, wire, flags[request["id"]])
        except Exception as error:
            failure = {"type": type(error).__name__, "message": str(error)[:1000]}
            wire.send({"id": request["id"], "error": failure})
        finally:
            flags.pop(request["id"], None)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
