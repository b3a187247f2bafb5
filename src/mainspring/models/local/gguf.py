"""What a GGUF file says of itself: enough to refuse a bad file clearly and to know the model's limits."""

from __future__ import annotations

import array
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mainspring.errors import ModelError

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY, _CONTROL = 8, 9, 3
_MOST_ENTRIES = 100_000
_MOST_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class Header:
    """What we read from a file.

    Args:
        architecture: such as ``"qwen2"``.
        context_length: tokens the model was trained for, or None when the file does not say.
        control_tokens: texts that the tokenizer turns into control tokens, such as ``"<|im_end|>"``.
    """

    architecture: str
    context_length: int | None
    control_tokens: tuple[str, ...]


def read_header(path: Path) -> Header:
    """Read the metadata of the GGUF file at `path`.

    Raises:
        ModelError: it is missing, a folder, not readable, or no GGUF file.
    """
    if path.is_dir():
        raise ModelError(f"{path} is a folder; name one .gguf file in it")
    try:
        with path.open("rb") as file:
            return _read(file, path)
    except FileNotFoundError:
        raise ModelError(f"there is no file {path}; give the path of a .gguf file") from None
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    except (struct.error, ValueError, KeyError, UnicodeDecodeError, EOFError, MemoryError, RecursionError) as error:
        raise ModelError(
            f"{path} starts like a GGUF file but is damaged or cut short ({error or type(error).__name__}); "
            "fetch it again"
        ) from None


def _read(file: BinaryIO, path: Path) -> Header:
    magic = file.read(4)
    if magic != b"GGUF":
        raise ModelError(f"{path} is not a GGUF file (it starts with {magic!r}, not b'GGUF')")
    version, _tensors, entries = struct.unpack("<IQQ", _exactly(file, 20))
    if version not in (2, 3):
        raise ModelError(f"{path} is GGUF version {version}; versions 2 and 3 are understood")
    if entries > _MOST_ENTRIES:
        raise ValueError(f"{entries} metadata entries")
    values: dict[str, Any] = {}
    for _ in range(entries):
        key = _string(file).decode("utf-8")
        (kind,) = struct.unpack("<I", _exactly(file, 4))
        values[key] = _value(file, kind)
    architecture = str(values.get("general.architecture", ""))
    length = values.get(f"{architecture}.context_length")
    tokens, kinds = values.get("tokenizer.ggml.tokens", []), values.get("tokenizer.ggml.token_type", [])
    control = tuple(
        token.decode("utf-8", "replace") for token, kind in zip(tokens, kinds, strict=False) if kind == _CONTROL
    )
    return Header(architecture, int(length) if length else None, tuple(t for t in control if len(t) > 2))


def _exactly(file: BinaryIO, size: int) -> bytes:
    if size > _MOST_BYTES:
        raise ValueError(f"a value of {size} bytes")
    data = file.read(size)
    if len(data) != size:
        raise EOFError("it ends too early")
    return data


def _string(file: BinaryIO) -> bytes:
    (size,) = struct.unpack("<Q", _exactly(file, 8))
    return _exactly(file, size)


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(file).decode("utf-8", "replace")
    if kind != _ARRAY:
        code = _SCALARS[kind]
        return struct.unpack("<" + code, _exactly(file, struct.calcsize(code)))[0]
    inner, count = struct.unpack("<IQ", _exactly(file, 12))
    if inner == _STRING:
        return [_string(file) for _ in range(count)]
    if inner == _ARRAY:
        return [_value(file, _ARRAY) for _ in range(count)]
    code = _SCALARS[inner]
    data = _exactly(file, struct.calcsize(code) * count)
    if code == "?":
        return list(data)
    numbers = array.array(code)
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
