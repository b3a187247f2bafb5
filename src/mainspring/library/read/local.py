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
    "code": ("mainspring.library.read.code", "open_code"),
    "mail": ("mainspring.library.read.mail", "open_mail"),
    "book": ("mainspring.library.read.book", "open_epub"),
    "office": ("mainspring.library.read.local", "_open_office"),
    "slides": ("mainspring.library.read.local", "_open_slides"),
    "sheet": ("mainspring.library.read.local", "_open_sheet"),
    "image": ("mainspring.library.sight.media", "open_image"),
    "video": ("mainspring.library.sight.media", "open_video"),
    "audio": ("mainspring.library.sight.media", "open_audio"),
}


class OutOfMemory(ToolError):
    """The process has too little memory for a file, and perhaps for any other now."""


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
        raise OutOfMemory(
            f"{path.name} needs more than {limits.memory_mb:,} MB to read (the limit `memory_mb`)"
        ) from None
    except OSError as error:
        raise ToolError(f"{path.name} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # a library that stumbles over what a file holds
        raise ToolError(f"{path.name} cannot be read as {kind}: {type(error).__name__}: {str(error)[:200]}") from None
    return reading


def _open_office(path: Path, limits: ReadLimits) -> Reading:
    if _head(path).startswith(b"{\\rtf"):
        from mainspring.library.read.rtf import open_rtf

        return open_rtf(path, limits)
    _refuse_old(path)
    if _is_opendocument(path):
        from mainspring.library.read.opendocument import open_odt

        return open_odt(path, limits)
    from mainspring.library.read.word import open_docx

    return open_docx(path, limits)


def _open_slides(path: Path, limits: ReadLimits) -> Reading:
    _refuse_old(path)
    if _is_opendocument(path):
        from mainspring.library.read.opendocument import open_odp

        return open_odp(path, limits)
    from mainspring.library.read.slides import open_pptx

    return open_pptx(path, limits)


def _open_sheet(path: Path, limits: ReadLimits) -> Reading:
    _refuse_old(path)
    if not _head(path).startswith(b"PK") and path.suffix.lower() not in (".xlsx", ".xlsm", ".ods"):
        from mainspring.library.read.sheets import open_csv

        return open_csv(path, limits)
    if _is_opendocument(path):
        from mainspring.library.read.opendocument import open_ods

        return open_ods(path, limits)
    from mainspring.library.read.sheets import open_xlsx

    return open_xlsx(path, limits)


def _head(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(200)


def _is_opendocument(path: Path) -> bool:
    return b"mimetypeapplication/vnd.oasis.opendocument" in _head(path)


def _refuse_old(path: Path) -> None:
    """An OLE file under a new name is one that a password encrypts, or one of before 2007."""
    if _head(path).startswith(b"\xd0\xcf\x11\xe0"):
        raise ToolError(
            f"{path.name} is encrypted, or in the format of before 2007; save a copy without a password, "
            "as .docx, .pptx or .xlsx"
        )
