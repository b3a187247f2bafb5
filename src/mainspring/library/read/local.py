"""Readings in this process: which reader opens which kind. A file from a stranger is read by `opening.open_file`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from mainspring.errors import ToolError
from mainspring.library.page import Kind
from mainspring.library.read.protocol import Reading, ReadLimits

#: Kind -> the module and function that open it.
_READERS: dict[Kind, tuple[str, str]] = {
    "pdf": ("mainspring.library.read.pdf", "open_pdf"),
    "html": ("mainspring.library.read.web", "open_html"),
    "markdown": ("mainspring.library.read.markdown", "open_markdown"),
    "text": ("mainspring.library.read.plain", "open_text"),
    "image": ("mainspring.library.sight.media", "open_image"),
    "video": ("mainspring.library.sight.media", "open_video"),
    "audio": ("mainspring.library.sight.media", "open_audio"),
}


def open_here(path: Path, kind: Kind, limits: ReadLimits) -> Reading:
    """Open a file of a known kind in this process.

    Raises:
        ToolError: it is encrypted, broken or too large; the message names it.
    """
    module, function = _READERS[kind]
    try:
        reading: Reading = getattr(import_module(module), function)(path, limits)
    except ToolError:
        raise
    except (MemoryError, RecursionError):
        raise ToolError(
            f"{path.name} needs more than {limits.memory_mb:,} MB to read (the limit `memory_mb`)"
        ) from None
    except OSError as error:
        raise ToolError(f"{path.name} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # a library that stumbles over what a file holds
        raise ToolError(f"{path.name} cannot be read as {kind}: {type(error).__name__}: {str(error)[:200]}") from None
    return reading
