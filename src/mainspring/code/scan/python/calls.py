"""What is known of the answer of a call."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mainspring.code.scan.python import names
from mainspring.code.scan.python.values import CONSTANT, GIVEN, HOLE, OUTSIDE, UNKNOWN, Value, constant, join, merge

if TYPE_CHECKING:
    from mainspring.code.scan.python.flow import Call

__all__ = ["result"]

#: Methods whose answer is not text of the one who chose the arguments.
_RECORDS = frozenset(
    [
        "fetchone",
        "fetchall",
        "fetchmany",
        "fetchval",
        "fetchrow",
        "all",
        "first",
        "one",
        "one_or_none",
        "scalar",
        "scalars",
        "cursor",
        "connect",
        "execute",
        "commit",
        "fileno",
        "isalnum",
        "isdigit",
        "startswith",
        "endswith",
        "exists",
        "is_file",
        "is_dir",
        "hexdigest",
        "digest",
        "count",
        "index",
        "find_one",
        "find",
        "status_code",
        "stat",
        "is_relative_to",
        "open",
        "read_text",
        "read_bytes",
        "iterdir",
        "listdir",
    ]
)
#: Methods that give back the text they were called on.
_SAME = frozenset(
    [
        "strip",
        "lstrip",
        "rstrip",
        "lower",
        "upper",
        "title",
        "capitalize",
        "encode",
        "decode",
        "casefold",
        "expandtabs",
        "swapcase",
        "copy",
        "getvalue",
        "splitlines",
        "split",
        "rsplit",
        "partition",
        "rpartition",
        "removeprefix",
        "removesuffix",
        "zfill",
        "ljust",
        "rjust",
        "center",
        "expanduser",
        "as_posix",
    ]
)
_PATHS = frozenset({"pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "Path"})
_RESOLVE = frozenset({"os.path.realpath", "os.path.abspath", "os.path.normpath"})
_RANDOM = ("secrets.", "hashlib.", "uuid.", "os.urandom", "time.", "math.", "datetime.datetime.now", "random.")


def result(call: Call, returned: Value | None) -> Value:
    """What is known of the answer; `returned` is what a function of the same file returns."""
    name, method = call.name, call.method
    given = [*call.args, *call.keywords.values()]
    everything = merge((call.receiver, *given))
    if returned is not None:
        worst = merge(given)
        level = min(returned.level, max(worst.level, UNKNOWN)) if returned.level == GIVEN else returned.level
        clean = returned.clean | (worst.clean if worst.level >= GIVEN else frozenset())
        if names.CLEANING_NAME.search(method):
            clean |= {"*"}
        return replace(returned, level=level, origins=worst.origins | returned.origins, clean=clean, literal=False)
    if name in names.OUTSIDE_CALLS:
        return Value(names.OUTSIDE_CALLS[name], origins=frozenset({name}))
    if name in names.CLEANERS:
        uses = names.CLEANERS[name]
        base = merge(given)
        text = "" if base.level else base.text
        return replace(
            base.cleaned(*uses), literal=False, text=text, kind=name + "()", built=base.built and "*" not in uses
        )
    if name.startswith(_RANDOM):
        return Value(UNKNOWN, clean=frozenset({"*"}), origins=everything.origins, kind=name + "()")
    if name in ("str", "bytes", "bytearray", "list", "tuple", "set", "sorted", "reversed", "iter", "next", "dict"):
        return replace(merge(given), kind="")
    if method == "format" and (call.receiver.text or call.receiver.built):
        from mainspring.code.scan.python.flow import Flow

        return Flow._formatted(call.receiver, given)
    if method == "join" and call.args and not name.startswith("os.path") and "Path" not in call.receiver.kind:
        return _join_texts(call)
    if name in ("os.path.join", "posixpath.join"):
        return _join_paths(call.args)
    if name in _PATHS or method == "joinpath":
        parts = ([call.receiver] if method == "joinpath" else []) + call.args
        return replace(_join_paths(parts), kind="pathlib.Path()")
    if name in _RESOLVE:
        return replace(merge(given).cleaned("resolved"), text=everything.text, kind="", built=everything.built)
    if method in ("resolve", "absolute") and "Path" in call.receiver.kind:
        return call.receiver.cleaned("resolved")
    if method == "relative_to":
        return call.receiver.cleaned("path")
    if method == "replace":
        return _replaced(call)
    if method in ("translate", "sub") and call.args:
        safe_for = {"log", "header"} | ({"*"} if method == "translate" else set())
        if method == "sub" and name.startswith("re.") and _drops(call.literal(0)):
            safe_for = {"*"}
        return replace(everything.cleaned(*safe_for), literal=False)
    if method in _RECORDS:
        return Value(UNKNOWN, kind=f"{name}()", origins=everything.origins)
    if method in _SAME:
        return replace(call.receiver, kind=call.receiver.kind if method != "split" else "", literal=False)
    if method == "get" and call.receiver.level == CONSTANT and call.receiver.literal:
        return merge((call.receiver, *call.args[1:]))
    if names.CLEANING_NAME.search(method):
        return replace(everything.cleaned("*"), literal=False)
    return replace(
        everything,
        level=max(everything.level, UNKNOWN),
        text="",
        built=False,
        kind=f"{name}()" if call.receiver.kind not in ("<request>", "<member>") else call.receiver.kind,
        literal=False,
    )


def _drops(pattern: object) -> bool:
    """Whether a pattern of `re.sub` takes out everything but some characters."""
    return isinstance(pattern, str) and pattern.lstrip("(").startswith("[^")


def _join_texts(call: Call) -> Value:
    items = merge(call.args)
    text = call.receiver.text.join((items.text or HOLE, HOLE)) if items.level else items.text
    return replace(items, text=text, built=items.level > CONSTANT, kind="", literal=False)


def _join_paths(parts: list[Value]) -> Value:
    if not parts:
        return constant()
    if len(parts) == 1:
        return replace(parts[0], literal=False)
    pieces: list[Value] = []
    for part in parts:
        pieces += [part, constant("/")]
    whole = join(pieces[:-1])
    clean = [part.clean for part in parts[1:] if part.level > CONSTANT and "*" not in part.clean]
    # Only what stands behind the first part can climb out of it.
    safe = frozenset.intersection(*clean) if clean else frozenset({"path"})
    return replace(whole, clean=(whole.clean | safe) - {"resolved"})


def _replaced(call: Call) -> Value:
    value = replace(call.receiver, literal=False)
    old = call.literal(0)
    if isinstance(old, str) and ("\n" in old or "\r" in old):
        return value.cleaned("log", "header")
    if value.level >= OUTSIDE or value.level >= GIVEN:
        return replace(value, text="" if not value.built else value.text)
    return value
