"""A Python that holds AgentDojo and what Mainspring needs, made once; Mainspring itself comes from this source tree."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from benchmarks.peers.environment import QUIET, Peer, ensure

ROOT = Path(__file__).resolve().parents[2]
#: Pins of AgentDojo, of what it imports, and of Mainspring's own dependencies.
PEER = Peer("agentdojo", "agentdojo.txt", "", "")
_INSIDE = "MAINSPRING_AGENTDOJO"


def python_with_both() -> Path:
    """The Python of that environment, made first if need be.

    Raises:
        subprocess.CalledProcessError: the packages cannot be installed.
    """
    return ensure(PEER)


def inside() -> bool:
    """True in the process that was started by :func:`enter`."""
    return os.environ.get(_INSIDE) == "1"


def enter(module: str, arguments: list[str]) -> None:
    """Go on as ``python -m module`` in that environment; this process is replaced."""
    python = python_with_both()
    environment = {**os.environ, **QUIET, _INSIDE: "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}
    for name in ("MAINSPRING_HOME", "MAINSPRING_DATABASE_URL", "MAINSPRING_CONFIG"):
        environment.pop(name, None)
    sys.stdout.flush()
    os.execve(str(python), [str(python), "-m", module, *arguments], environment)
