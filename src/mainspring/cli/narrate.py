"""Tells what a run does, event by event, as short styled lines; live progress and `runs show` share it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mainspring.cli import guarded
from mainspring.cli.answer import inert_value, known_hosts
from mainspring.cli.lines import STYLES, Happening, Line, Tally
from mainspring.cli.narrate_guard import GuardTeller, beginning, call_text
from mainspring.cli.render import clock, cut, indent, one_line, safe, seconds
from mainspring.errors import MainspringError
from mainspring.messages import FilePart, ImagePart, Message, TextPart, ThinkingPart, decode, decode_part, decode_usage

if TYPE_CHECKING:
    from mainspring.runtime.run import Run


__all__ = ["STYLES", "Happening", "Line", "Narrator", "Tally", "task_text"]


class Narrator(GuardTeller):
    """Turns events into lines, and keeps what the next lines need.

    Args:
        full: show whole thoughts and results (`runs show`) instead of their beginnings (live).
        hide_answer: the final answer is printed elsewhere; leave it out.
        will_ask: a question comes on the screen by itself; say only that there is one.
    """

    def __init__(self, *, full: bool = False, hide_answer: bool = False, will_ask: bool = False) -> None:
        super().__init__(full=full, will_ask=will_ask)
        self.hide_answer = hide_answer
        self.run_id = ""
        self._last_word = False  # the newest answer has no calls, so it is final unless more follows
        self._held: Line | None = None  # its words
        self._task = ""

    def adopt(self, run: Run) -> None:
        """Count on from what a resumed run spent before."""
        self.tally.steps, self.tally.usage, self.tally.limits = run.steps, run.usage, run.state.limits
        self._nested = {c.part.id for c in run.state.calls.values() if c.parent is not None}
        self._asked = {c.approval: c.part.id for c in run.state.calls.values() if c.approval is not None}

    def feed(self, event: Happening) -> list[Line]:
        """Lines for one event; none for what people need not see."""
        tell: Callable[[Mapping[str, Any]], Iterable[Line]] | None
        tell = getattr(self, "_" + event.kind.replace(".", "_"), None)
        if event.kind in ("run.started", "run.resumed"):
            self.tally.began = event.at
        if tell is None:
            return []
        try:
            lines = [self._inside(line, event.payload) for line in tell(event.payload)]
        except (KeyError, TypeError, ValueError, AttributeError, MainspringError) as error:
            # A journal from elsewhere may hold anything; one odd event must not hide the rest.
            lines = [Line("error", f"event {safe(event.kind)} cannot be shown: {safe(str(error))}")]
        if event.kind not in ("delta", "progress") and self._held is not None:
            held, self._held = self._held, None
            final = event.kind == "run.ended" and event.payload.get("status") == "done"
            if not (final and self.hide_answer):
                lines.insert(0, self._filled(event, held) if final else held)
        if event.kind == "model.answered":
            self._hold(lines)
        return lines

    def _filled(self, event: Happening, held: Line) -> Line:
        """The final answer with every handle filled in, and inert where strangers may have written in it."""
        output, label = event.payload.get("output"), getattr(event, "label", None)
        if not isinstance(output, str) or not output.strip():
            return held
        shown = inert_value(output, label, known_hosts(self._task)) if label is not None and label.strangers else output
        return replace(held, text=safe(shown.strip()))

    def _hold(self, lines: list[Line]) -> None:
        if self._last_word:
            said = [line for line in lines if line.style == "say"]
            self._held = said[0] if said else None
            lines[:] = [line for line in lines if line.style != "say"]

    def _run_started(self, p: Mapping[str, Any]) -> Iterable[Line]:
        self.tally.limits = p.get("limits") or {}
        self.doing = "starting"
        agent = p.get("agent")
        models: Any = ""
        if isinstance(agent, Mapping):
            models = ", ".join(map(str, agent.get("models", ())))
            agent = agent.get("name", "")
        parts = [str(agent), models, str(p.get("workspace") or "")]
        yield Line("head", safe(" · ".join(x for x in parts if x)))
        if isinstance(p.get("guard"), Mapping):
            yield from self._guarded(p["guard"])
        if self.full:
            for message in p.get("messages") or ():
                self._task += task_text(message) + "\n"
                yield Line("person", "task: " + indent(safe(task_text(message))).lstrip())

    def _run_forked(self, p: Mapping[str, Any]) -> Iterable[Line]:
        yield Line("head", "forked: what follows is this run's own")

    def _run_resumed(self, p: Mapping[str, Any]) -> Iterable[Line]:
        self.doing = "resuming"
        self.tally.limits = p.get("limits") or self.tally.limits
        yield Line("head", "resumed")

    def _model_called(self, p: Mapping[str, Any]) -> Iterable[Line]:
        self.tally.steps = max(self.tally.steps, int(p.get("step") or 0))
        effort = p.get("effort")
        self.doing = f"{safe(str(p.get('model') or 'the model'))} thinks" + (
            f" ({effort} effort)" if effort and effort != "none" else ""
        )
        return ()

    def _model_answered(self, p: Mapping[str, Any]) -> Iterable[Line]:
        message = decode(p["message"]) if isinstance(p["message"], Mapping) else p["message"]
        self.tally.steps = max(self.tally.steps, int(p.get("step") or 0))
        if message.usage is not None:
            self.tally.usage = self.tally.usage + message.usage
        self.doing = "deciding"
        self._last_word = not message.tool_calls
        self._programs = {c.id: str(c.arguments.get("source", "")) for c in message.tool_calls}
        yield from self._spoken(message)
        spent = message.usage
        if spent is not None and (spent.tokens or spent.usd):
            yield Line("spent", f"{self.tally.text()}")
        elif not message.tool_calls:
            yield Line("spent", self.tally.text())

    def _spoken(self, message: Message) -> Iterable[Line]:
        thought = "".join(part.text for part in message.parts if isinstance(part, ThinkingPart)).strip()
        if thought:
            yield Line("think", safe(thought if self.full else beginning(thought, 6)))
        if message.text.strip():
            yield Line("say", safe(message.text.strip()))
        for call in message.tool_calls:
            if call.invalid is not None:
                yield Line("error", f"→ {safe(call.name)} {cut(safe(call.invalid, exact=True), 100)}")

    def _model_failed(self, p: Mapping[str, Any]) -> Iterable[Line]:
        wait = p.get("wait_s")
        then = f"; trying again in {seconds(float(wait))}" if wait else ""
        self.doing = "waiting for the model" if wait else "deciding"
        yield Line("error", f"{safe(str(p.get('model', 'the model')))}: {safe(str(p.get('error', '')))}{then}")

    def _call_refused(self, p: Mapping[str, Any]) -> Iterable[Line]:
        reason = str(p.get("reason", ""))
        yield Line("error", f"✗ {safe(str(p.get('tool', '')))} refused: {self._shown(guarded.refusal_text(reason))}")

    def _approval_answered(self, p: Mapping[str, Any]) -> Iterable[Line]:
        answer, by, reason = (safe(str(p.get(k) or "")) for k in ("answer", "by", "reason"))
        yield Line(
            "person" if answer == "approved" else "warn",
            answer + (f" by {by}" if by else "") + (f": {reason}" if reason else ""),
        )

    def _effect_intended(self, p: Mapping[str, Any]) -> Iterable[Line]:
        self.doing = f"running {safe(str(p.get('tool', '')))}"
        yield Line("call", f"→ {call_text(p)}")
        yield from self._allowed(p)

    def _effect_retried(self, p: Mapping[str, Any]) -> Iterable[Line]:
        yield Line("call", f"→ the same call again, attempt {p['attempt']}")

    def _effect_done(self, p: Mapping[str, Any]) -> Iterable[Line]:
        self.doing = "deciding"
        if p.get("usage"):
            self.tally.usage = self.tally.usage + decode_usage(p["usage"])
        failed, tool = bool(p.get("is_error")), safe(str(p.get("tool", "")))
        # A planner that works on handles saw the view; what a person wants to know of a failure is the failure.
        seen = p.get("content") if failed else p.get("shown") or p.get("content")
        parts = [decode_part(c) if isinstance(c, Mapping) else c for c in seen or ()]
        text = "".join(c.text for c in parts if isinstance(c, TextPart))
        media = [f"[{c.media_type}, {len(c.data):,} bytes]" for c in parts if isinstance(c, ImagePart | FilePart)]
        mark = [f"(${safe(str(p['handle']))})"] if failed and p.get("handle") else []
        settled = p.get("settled")
        how = {"adopted": ", had already happened", "person": ", settled by a person"}.get(str(settled), "")
        took = f"{seconds(float(p.get('seconds') or 0))}{how}"
        shown = " ".join([self._shown(text), *media, *mark]).strip()
        more = text.strip().count("\n")
        tail = f" (+{more} lines)" if more and not self.full else ""
        yield Line("error" if failed else "result", f"{'✗' if failed else '✓'} {tool} {took}  {shown}{tail}".rstrip())
        for grant in p.get("grants") or ():
            yield Line("guard", f"  {guarded.may_text(grant)}")

    def _effect_parked(self, p: Mapping[str, Any]) -> Iterable[Line]:
        yield Line(
            "warn", f"in doubt: {safe(str(p.get('tool', '')))} may have happened: {safe(str(p.get('reason', '')))}"
        )

    def _doubt_answered(self, p: Mapping[str, Any]) -> Iterable[Line]:
        answer = str(p.get("answer", "")).replace("_", " ")
        yield Line("person", f"doubt settled: {safe(answer)}" + (f", by {safe(str(p['by']))}" if p.get("by") else ""))

    def _message_added(self, p: Mapping[str, Any]) -> Iterable[Line]:
        text = p.get("message")
        message = decode(text).text if isinstance(text, Mapping) else str(text)
        yield Line("person", f"{safe(str(p.get('by') or 'a person'))}: {self._shown(message)}")

    def _limit_warned(self, p: Mapping[str, Any]) -> Iterable[Line]:
        yield Line("warn", safe(str(p.get("text") or f"close to the limit on {p.get('limit')}")))

    def _output_rejected(self, p: Mapping[str, Any]) -> Iterable[Line]:
        yield Line("warn", f"answer sent back: {self._shown(str(p.get('complaint', '')))}")

    def _context_compacted(self, p: Mapping[str, Any]) -> Iterable[Line]:
        yield Line("spent", "context compacted: older messages are summarised; the journal keeps them all")

    def _drift_checked(self, p: Mapping[str, Any]) -> Iterable[Line]:
        verdict = p.get("verdict") or {}
        if verdict.get("on_task") == "no":
            rule = f": {self._shown(str(verdict['rule']))}" if verdict.get("rule") else ""
            yield Line("warn", f"a check says that the last steps do not serve the task{rule}")
        for odd in p.get("signals") or ():
            yield Line("warn", f"noticed: {safe(str(odd))}")

    def _context_restored(self, p: Mapping[str, Any]) -> Iterable[Line]:
        yield Line("spent", "compaction undone: the whole context is back")

    def _run_waiting(self, p: Mapping[str, Any]) -> Iterable[Line]:
        self.doing = "waiting"
        wake = p.get("wake_at")
        what = safe(str(p.get("reason") or p.get("for") or "a person"))
        yield Line("warn", f"waiting: {what}" + (f" (until {clock(wake)})" if wake else ""))

    def _run_paused(self, p: Mapping[str, Any]) -> Iterable[Line]:
        self.doing = "paused"
        yield Line("warn", "paused" + (f": {safe(str(p['reason']))}" if p.get("reason") else ""))

    def _run_cancel_requested(self, p: Mapping[str, Any]) -> Iterable[Line]:
        yield Line("warn", f"cancel asked for by {safe(str(p.get('by') or 'a person'))}")

    def _run_ended(self, p: Mapping[str, Any]) -> Iterable[Line]:
        self.doing = status = str(p.get("status", "ended"))
        reason = f": {safe(str(p['reason']))}" if p.get("reason") else ""
        yield Line("head" if status == "done" else "error", f"{safe(status)}{reason}")

    def _progress(self, p: Mapping[str, Any]) -> Iterable[Line]:
        text = one_line(str(p.get("line", "")), 160)
        return [Line("result", f"  {text}")] if text else ()


def task_text(message: Mapping[str, Any]) -> str:
    """The words of a journaled message, with a note for each picture and file."""
    said = decode(message)
    named = [f"[{p.media_type}]" for p in said.parts if isinstance(p, ImagePart | FilePart)]
    return " ".join([said.text, *named])
