"""Makes and keeps one Python environment for each peer, with every package pinned.

They live under ``$XDG_CACHE_HOME/mainspring-bench`` (``~/.cache/mainspring-bench``), named after a digest of their
pins, so that a changed pin makes a new one and an unchanged one is made once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Peer:
    """Another system: its name in the figures, its pins, its loop script, and what a user's program imports."""

    name: str
    pins: str
    loop: str
    imports: str


PEERS = (
    Peer(
        "langchain_sqlite",
        "langchain.txt",
        "benchmarks.peers.langchain_loop",
        "from langchain.agents import create_agent; from langchain_core.tools import tool; "
        "from langgraph.checkpoint.sqlite import SqliteSaver",
    ),
    Peer(
        "pydantic_ai_dbos",
        "pydantic_ai.txt",
        "benchmarks.peers.pydantic_ai_loop",
        "from dbos import DBOS; from pydantic_ai import Agent; "
        "from pydantic_ai.durable_exec.dbos import DBOSDurability",
    ),
    Peer(
        "openai_agents_sqlite",
        "openai_agents.txt",
        "benchmarks.peers.openai_agents_loop",
        "from agents import Agent, Runner, SQLiteSession, function_tool",
    ),
    Peer(
        "smolagents",
        "smolagents.txt",
        "benchmarks.peers.smolagents_loop",
        "from smolagents import ToolCallingAgent, tool",
    ),
)

#: Systems in the swarm benchmark; `loop` is the module that does its work.
SWARM_PEERS = (
    Peer("langgraph_send", "langgraph_openai.txt", "benchmarks.peers.langgraph_swarm", "import langgraph"),
    Peer("deepagents", "deepagents.txt", "benchmarks.peers.deepagents_swarm", "import deepagents"),
    Peer("openai_agents_gather", "openai_agents.txt", "benchmarks.peers.openai_agents_swarm", "import agents"),
)

#: Switches off what a peer would send or print by itself.
QUIET = {
    "DO_NOT_TRACK": "1",
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "OTEL_SDK_DISABLED": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
}


def cache_folder() -> Path:
    """Where environments and scratch files are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "mainspring-bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def ensure(peer: Peer) -> Path:
    """The peer's Python, made first if need be; what it does is shown on standard error.

    Raises:
        subprocess.CalledProcessError: the packages cannot be installed.
    """
    pins = Path(__file__).with_name(peer.pins)
    digest = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache_folder() / f"{pins.stem}-{digest}"
    python = folder / "bin" / "python"
    ready = folder / ".ready"
    with (cache_folder() / f"{pins.stem}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            shutil.rmtree(folder, ignore_errors=True)
            count = len(pins.read_text().split())
            print(f"{peer.name}: installing {count} packages into {folder} ...", file=sys.stderr, flush=True)
            started = time.perf_counter()
            _make(folder, python, pins)
            ready.touch()
            print(f"{peer.name}: ready after {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return python


def _make(folder: Path, python: Path, pins: Path) -> None:
    uv = shutil.which("uv")
    if uv:
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
        install = [uv, "pip", "install", "--quiet", "--python", str(python)]
    else:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet"]
    # The pins are a complete list, so nothing is resolved and a newer release cannot slip in.
    subprocess.run([*install, "--no-deps", "-r", str(pins)], check=True)
    # Bytecode is made now, as it is for our own package: otherwise the first timed start would pay for it.
    subprocess.run([str(python), "-m", "compileall", "-q", str(folder / "lib")], check=False)
