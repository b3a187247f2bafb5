"""Tells the events of a run's guard: rights, questions, vouching, programs and their calls."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from typing import Any

from mainspring.cli import guarded
from mainspring.cli.lines import Line, Tally
from mainspring.cli.render import arguments_text, indent, one_line, safe
from mainspring.messages import decode_usage


class GuardTeller:
    """The part of a narrator that speaks of the guard.

    Args:
        full: show whole thoughts and results (`runs show`) instead of their beginnings (live).
        will_ask: a question comes on the screen by itself; say only that there is one.
    """

    def __init__(self, *, full: bool, will_ask: bool) -> None:
        self.full = full
        self.will_ask = will_ask
        self.tally = Tally()
        self.doing = "starting"
        self.asked_below: Container[str] = ()  # approvals that are spelled out elsewhere, by id
        self._programs: dict[str, str] = {}  # call id -> text of a program of the newest answer
        self._nested: set[str] = set()  # ids of calls that a program makes
        self._asked: dict[str, str] = {}  # approval id -> call id

    def _inside(self, line: Line, p: Mapping[str, Any]) -> Line:
        """A program's own calls stand below it."""
        call_id = p.get("call_id") or self._asked.get(str(p.get("id")))
        return replace(line, text=indent(line.text, "    ")) if call_id in self._nested else line

    def _guarded(self, guard: Mapping[str, Any]) -> Iterable[Line]:
        yield Line("guard", guarded.mode_text(guard))
        if self.full:
            yield Line("guard", guarded.behalf_text(guard.get("principals") or ()))
        for grant in guard.get("grants") or ():
            yield Line("guard", guarded.may_text(grant))

    def _allowed(self, p: Mapping[str, Any]) -> Iterable[Line]:
        """Why a call may be made; live only when it uses a grant up, as most calls need none."""
        if p.get("why") and (self.full or p.get("grant")):
            grant = str(p.get("grant") or "")
            by = f" [{safe(grant)}]" if grant and grant not in str(p["why"]) else ""
            yield Line("guard", f"  allowed: {safe(str(p['why']))}{by}")

    def _grants_compiled(self, p: Mapping[str, Any]) -> Iterable[Line]:
        if p.get("usage"):
            self.tally.usage = self.tally.usage + decode_usage(p["usage"])
        if p.get("failed"):
            yield Line("warn", f"the model made no grants ({safe(str(p['failed']))}), so rules did")
        for text in guarded.compiled_lines(p):
            yield Line("guard", text)

    def _grant_given(self, p: Mapping[str, Any]) -> Iterable[Line]:
        yield Line("person", f"granted by {safe(str(p.get('by') or 'a person'))}; {guarded.may_text(p['grant'])}")

    def _label_lowered(self, p: Mapping[str, Any]) -> Iterable[Line]:
        by, target, reason = (safe(str(p.get(k) or "")) for k in ("by", "target", "reason"))
        yield Line("person", f"{by} vouches for {target}: {reason}")

    def _label_restored(self, p: Mapping[str, Any]) -> Iterable[Line]:
        by, target, reason = (safe(str(p.get(k) or "")) for k in ("by", "target", "reason"))
        yield Line("person", f"{by} no longer vouches for {target}: {reason}")

    def _program_begun(self, p: Mapping[str, Any]) -> Iterable[Line]:
        self.doing = "running a program"
        source = self._programs.get(str(p.get("call_id")), "").strip()
        shown = safe(source if self.full else beginning(source, 8))
        yield Line("call", "→ program" + ("\n" + indent(shown, "    │ ") if shown else ""))

    def _call_nested(self, p: Mapping[str, Any]) -> Iterable[Line]:
        self._nested.add(str(p["call_id"]))
        return ()

    def _program_ended(self, p: Mapping[str, Any]) -> Iterable[Line]:
        self.doing = "deciding"
        failed = bool(p.get("is_error"))
        shown = self._shown(str(p.get("shown", "")))
        yield Line("error" if failed else "result", f"{'✗' if failed else '✓'} program  {shown}")

    def _approval_requested(self, p: Mapping[str, Any]) -> Iterable[Line]:
        self.doing = "waiting for a person"
        self._asked[str(p.get("id"))] = str(p.get("call_id"))
        lines = [f"? {call_text(p)}", f"  needs a person's yes: {safe(str(p.get('reason', '')))}"]
        if not self.will_ask and str(p.get("id")) not in self.asked_below:
            lines += [f"  {line}" for line in guarded.asked_lines(p)]
        yield Line("warn", "\n".join(lines))

    def _shown(self, text: str) -> str:
        return indent(safe(text.strip())).lstrip() if self.full else one_line(text)


def call_text(p: Mapping[str, Any]) -> str:
    """A call on one line: the tool and its arguments."""
    return f"{safe(str(p.get('tool', '')))} {arguments_text(p.get('arguments') or {})}".rstrip()


def beginning(text: str, lines: int) -> str:
    """The first lines of a text, and how many more there are."""
    kept = text.split("\n")
    return "\n".join(kept[:lines]) + (f"\n… {len(kept) - lines} more lines" if len(kept) > lines else "")
