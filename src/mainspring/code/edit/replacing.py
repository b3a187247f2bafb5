"""Replaces, removes or adds a whole definition, and proves by parsing again that nothing else has changed.

What stands before a definition (comments, decorators, attributes, ``export``) stays when the new code brings none of
its kind, and is replaced by what it brings.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mainspring.code.edit.indent import fit, unit_of
from mainspring.code.edit.symbols import LANGUAGES, Definition, definitions
from mainspring.errors import ToolError
from mainspring.tools.syntax import MAX_BYTES, judge, language_of
from mainspring.tools.textfile import size, uses_crlf

__all__ = ["Where", "change_symbol", "find"]

Where: TypeAlias = Literal["replace", "before", "after", "delete"]

_SHOWN = 12


def change_symbol(path: str, text: str, name: str, code: str, where: Where = "replace") -> str:
    """A file's text with one definition replaced, removed, or with code put before or behind it.

    Args:
        path: the file's name, which tells its language.
        text: its content.
        name: of the definition: ``function``, ``Class.method``; with ``:LINE`` behind it where there are several.
        code: the new code, with any indentation; empty for ``"delete"``.
        where: ``"replace"``, ``"before"``, ``"after"`` or ``"delete"``.

    Raises:
        ToolError: the language is not known, no or several definitions have this name, or the code is not one
            definition of this name.
    """
    language = language_of(path)
    if language not in LANGUAGES:
        raise ToolError(f"{path}: definitions are known in {', '.join(sorted(LANGUAGES))} only; use edit_file")
    source = text.encode("utf-8")
    if len(source) > MAX_BYTES:
        raise ToolError(f"{path} has {size(len(source))}; definitions are looked for in up to {size(MAX_BYTES)}")
    if where == "delete" and code.strip():
        raise ToolError('with where="delete", leave `code` empty')
    if where != "delete" and not code.strip():
        raise ToolError('`code` is empty; give the whole definition (to remove it: where="delete")')
    known = definitions(language, source)
    target = find(path, known, name)
    job = _Job(path, language, source, known, target, uses_crlf(text))
    if where == "replace":
        return job.replaced(code).decode("utf-8")
    return (job.deleted() if where == "delete" else job.added(code, where)).decode("utf-8")


def find(path: str, known: list[Definition], name: str) -> Definition:
    """The definition that a name means. Raises ToolError, with what there is, when it is none or several."""
    wanted, _, number = name.strip().rpartition(":")
    if not number.isdecimal():
        wanted, number = name, ""
    wanted = wanted.strip().replace("::", ".").removesuffix("()").lstrip(".")
    found = [d for d in known if d.qualified == wanted]
    if not found:
        found = [d for d in known if d.qualified.endswith(f".{wanted}")]
    if number:
        found = [d for d in found if d.first <= int(number) <= d.last]
    if len(found) > 1 and (bodies := [d for d in found if not d.prototype]):
        found = bodies
    if len(found) == 1:
        return found[0]
    if not found:
        last = wanted.rpartition(".")[2].lower()
        near = [d for d in known if last and (last in d.name.lower() or d.name.lower() in last)] or known
        raise ToolError(f"{path} defines no {name}. It defines:\n{_listed(near)}")
    raise ToolError(f"{path} defines {name} {len(found)} times; say which by NAME:LINE:\n{_listed(found)}")


def _listed(found: list[Definition]) -> str:
    rows = [f"{d.qualified}:{d.first}  {d.head}" for d in found[:_SHOWN]]
    return "\n".join([*rows, f"... and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else rows) or "nothing"


def _holds(one: Definition, other: Definition) -> bool:
    return one.start <= other.start and other.end <= one.end and (one.start, one.end) != (other.start, other.end)


@dataclass
class _Job:
    """One change of one file."""

    path: str
    language: str
    source: bytes
    known: list[Definition]
    target: Definition
    crlf: bool

    def replaced(self, code: str) -> bytes:
        target, source = self.target, self.source
        self._alone()
        begin, end = target.begin, target.end
        fitted = self._fitted(code, source[target.start : end].decode("utf-8"))
        if source[begin:end].endswith(b";") and not fitted.endswith(b";") and self.language in ("c", "cpp"):
            fitted += b";"
        after = source[:begin] + fitted + source[end:]
        self._parses(after)
        new = self._one(after, begin, len(fitted))
        head = self._leading(after, new)
        after = source[:begin] + head + after[new.start : begin + len(fitted)] + source[end:]
        self._others_stay(after)
        return after

    def added(self, code: str, where: Where) -> bytes:
        target, source = self.target, self.source
        fitted = self._indent() + self._fitted(code)
        gap = self._newline() * (self._blank_lines() + 1)
        if where == "before":
            at = self._line_start(target.begin)
            after = source[:at] + fitted + gap + source[at:]
        else:
            at = self._line_end(target.end)
            after = source[:at] + gap + fitted + source[at:]
        self._parses(after)
        self._others_stay(after, adds=True)
        return after

    def deleted(self) -> bytes:
        source, newline = self.source, self._newline()
        self._alone()
        begin, end = self._line_start(self.target.begin), self._line_end(self.target.end)
        whole_lines = begin == 0 or source[begin - 1 : begin] == b"\n"
        if whole_lines and source[end : end + len(newline)] == newline:
            end += len(newline)
        head, tail = source[:begin], source[end:]
        if whole_lines and head.strip() and tail.strip():
            # Of the blank lines before and behind it, the larger number stays; none at the edge of a block.
            before = head[len(head.rstrip()) :].count(b"\n") - 1
            behind = tail[: len(tail) - len(tail.lstrip())].count(b"\n")
            edge = head.rstrip()[-1:] in (b"{", b":") or tail.lstrip()[:1] in (b"}", b")")
            lines = tail.split(b"\n")
            tail = b"\n".join(lines[behind:])
            head = head.rstrip() + newline * (1 if edge else max(before, behind) + 1)
        elif whole_lines and head.strip():
            head = head.rstrip() + newline
        after = head + tail
        self._others_stay(after)
        return after

    def _fitted(self, code: str, old: str = "") -> bytes:
        text = self.source.decode("utf-8").replace("\r\n", "\n")
        unit = unit_of(text, "\t" if self.language == "go" else "    ")
        made = fit(code, self._indent().decode(), unit, self.language, old)
        return (made.replace("\n", "\r\n") if self.crlf else made).encode("utf-8")

    def _one(self, after: bytes, begin: int, length: int) -> Definition:
        """The one definition that the new code makes, of the right name. Raises ToolError."""
        end = begin + length
        inside = [d for d in definitions(self.language, after) if begin <= d.start and d.end <= end]
        outermost = [d for d in inside if not any(_holds(o, d) for o in inside)]
        names = list(dict.fromkeys(d.qualified for d in outermost))
        target = self.target
        if not names:
            raise ToolError(f"`code` holds no definition of {target.qualified}; give the whole definition")
        if len(names) > 1:
            raise ToolError(
                f"`code` defines {', '.join(names[:_SHOWN])}; give only {target.qualified} "
                '(others by a call of their own with where="after")'
            )
        if names[0] != target.qualified:
            raise ToolError(f"`code` defines {names[0]}, not {target.qualified}; to rename it use edit_file")
        if len([d for d in outermost if not d.prototype]) > 1:
            raise ToolError(f"`code` defines {target.qualified} {len(outermost)} times; give one definition")
        first, last = outermost[0], outermost[-1]
        for rest in (after[begin : max(begin, first.begin)], after[last.end : end]):
            extra = next((line.strip() for line in rest.split(b"\n") if line.strip()), b"")
            if extra and not extra.startswith((b"#", b"//", b"/*", b"*")):
                raise ToolError(
                    f"`code` holds more than the definition: {extra.decode('utf-8', 'replace')[:80]!r}; "
                    "put that in with edit_file"
                )
        return first

    def _leading(self, after: bytes, new: Definition) -> bytes:
        """What stands before the new definition: its own, and of the old one what it has none of."""
        target, source = self.target, self.source
        given = {piece.kind for piece in new.pieces if piece.start >= target.begin}
        if not given:
            # An old comment stays above even when the new code begins with one of its own further down.
            return source[target.begin : target.start]
        if {piece.kind for piece in target.pieces} <= given:
            return after[target.begin : new.start]
        made = b""
        for kind in ("comment", "attribute", "export"):
            text, one = (after, new) if kind in given else (source, target)
            ends = [piece.start for piece in one.pieces[1:]] + [one.start]
            for piece, end in zip(one.pieces, ends, strict=True):
                if piece.kind == kind and piece.start >= target.begin:
                    made += text[piece.start : end]
        return made

    def _alone(self) -> None:
        same = [d.name for d in self.known if (d.start, d.end) == (self.target.start, self.target.end)]
        if len(same) > 1:
            raise ToolError(f"{self.target.name} is declared together with {', '.join(same)}; use edit_file")

    def _parses(self, after: bytes) -> None:
        """Raises ToolError when the file would be broken: that says more than what follows from it."""
        verdict = judge(self.path, self.source, after)
        if verdict.refusal is not None:
            raise ToolError(verdict.refusal)

    def _others_stay(self, after: bytes, *, adds: bool = False) -> None:
        """Raises ToolError when another definition would vanish or appear: then the new code is not whole."""
        target = self.target
        others = [d for d in self.known if adds or not (target.start <= d.start and d.end <= target.end)]
        before = Counter(d.qualified for d in others)
        now = Counter(d.qualified for d in definitions(self.language, after))
        if lost := list((before - now).elements()):
            raise ToolError(f"the code is not whole: {', '.join(lost[:_SHOWN])} would be part of something else")
        new = [name for name in (now - before).elements() if not f"{name}.".startswith(f"{target.qualified}.")]
        if new and not adds:
            raise ToolError(f"the code is not whole: {', '.join(new[:_SHOWN])} would be defined besides")

    def _indent(self) -> bytes:
        start = self._line_start(self.target.begin)
        head = self.source[start : self.target.begin]
        return head if not head.strip() else b""

    def _line_start(self, at: int) -> int:
        start = self.source.rfind(b"\n", 0, at) + 1
        return start if not self.source[start:at].strip() else at

    def _line_end(self, at: int) -> int:
        """The end of the line, with a comment behind the definition; where more code follows, right there."""
        end = self.source.find(b"\n", at)
        end = len(self.source) if end < 0 else end
        rest = self.source[at:end].strip()
        if rest and not rest.startswith((b"#", b"//", b"/*", b";", b",")):
            return at
        return end - 1 if self.source[end - 1 : end] == b"\r" else end

    def _newline(self) -> bytes:
        return b"\r\n" if self.crlf else b"\n"

    def _blank_lines(self) -> int:
        if self.target.kind == "variable":
            return 0
        return 2 if self.language == "python" and not self._indent() else 1
