"""A program, and one run of it as the runtime sees it: requests out, answers in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from mainspring.guard.program.boundary import from_value, origin_of, to_value
from mainspring.guard.program.cells import Cell, reach
from mainspring.guard.program.compiler import Compiler
from mainspring.guard.program.faults import LimitReachedError, ProgramError, ProgramLimits, Thrown
from mainspring.guard.program.machine import Frame, Machine, Request, Returned
from mainspring.guard.program.marks import Book, bits_of
from mainspring.guard.program.origins import Place
from mainspring.guard.program.scopes import python_names
from mainspring.label import MODEL, SYSTEM, Label
from mainspring.value import Value

_HANDLE = re.compile(r"v\d{1,9}\Z")


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """The program calls a tool and waits for the answer.

    Args:
        name: the tool's own name.
        arguments: by parameter, with the labels of all that they were made from and of what decided the call.
        origins: parameter -> where its value came from, for a person: ``"v3[0].sender"``, ``"written in the program"``,
            ``"joined from v3[0].body and the program"``.
        whole: parameter -> True when it is one value as somebody wrote it, and not made from several or a part of one.
        line: the line of the program.
        label: what decided that this call is made.
    """

    name: str
    arguments: dict[str, Value]
    origins: dict[str, str]
    whole: dict[str, bool]
    line: int
    label: Label = SYSTEM


@dataclass(frozen=True, slots=True)
class ToolFailure:
    """The answer of a tool that failed; the program may catch it as ToolError.

    Args:
        text: what the tool said, with its label.
    """

    text: Value


@dataclass(frozen=True, slots=True)
class Finished:
    """The program came to its end.

    Args:
        value: what it returned, or the value of its last line.
        printed: what it printed, in order.
    """

    value: Value
    printed: list[Value] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Failed:
    """The program was ended by an error or a limit.

    Args:
        message: what happened and where; holds the program's own text, types and line numbers only.
        details: the whole text of the error, with the labels of what it came from.
        printed: what it printed until then.
    """

    message: str
    details: Value
    printed: list[Value] = field(default_factory=list)


Event: TypeAlias = "ToolRequest | Finished | Failed"


class Program:
    """A checked and compiled program. It holds no state: any number of runs can be started from it."""

    def __init__(self, compiler: Compiler, limits: ProgramLimits, names: Mapping[str, str]) -> None:
        self._main = compiler.main
        self._consts = compiler.consts
        self.limits = limits
        self.names = dict(names)
        self.handles = frozenset(compiler.used)

    @staticmethod
    def parse(
        source: str,
        tools: Mapping[str, Sequence[str]],
        limits: ProgramLimits | None = None,
        handles: Iterable[str] = (),
    ) -> Program:
        """Check a program and make it ready to run.

        Args:
            source: Python, in the subset that docs/code-mode.md describes.
            tools: tool's name -> names of its parameters, in order.
            limits: how much a run may use.
            handles: names of values that `start` will be given; `v1`, `v2`, ... always are.

        Raises:
            ProgramError: what is wrong, at which line and column, and what to write instead.
        """
        limits = limits or ProgramLimits()
        names = python_names(tools)
        compiler = Compiler(source, names, _Handles(handles), limits)
        return Program(compiler, limits, {name: tool for name, (tool, _) in names.items()})

    @staticmethod
    def tool_names(tools: Iterable[str]) -> dict[str, str]:
        """What a program calls each tool -> the tool's own name; for telling the model."""
        return {name: tool for name, (tool, _) in python_names(dict.fromkeys(tools, ())).items()}

    def start(
        self, handles: Mapping[str, Value] | None = None, *, label: Label = MODEL, steering_bits_used: int = 0
    ) -> ProgramRun:
        """Begin a run.

        Args:
            handles: name -> value, for every name in `self.handles`.
            label: of the program's own text: who may have written it.
            steering_bits_used: what earlier programs of the same planner have used of the budget.

        Raises:
            ProgramError: a handle is missing, or its value is no JSON or nested too deep.
        """
        return ProgramRun(self, handles or {}, label, steering_bits_used)


class _Handles(frozenset[str]):
    """Names given beforehand, and everything that looks like `v12`."""

    def __contains__(self, name: object) -> bool:
        return frozenset.__contains__(self, name) or (isinstance(name, str) and _HANDLE.match(name) is not None)


class ProgramRun:
    """One run. The same program with the same handles and answers makes the same requests, byte for byte."""

    def __init__(self, program: Program, handles: Mapping[str, Value], label: Label, used: int) -> None:
        self._limits = program.limits
        self._book = Book(program.limits.steering_bits, used)
        own = self._book.of(label)
        self._run = Machine(self._book, program.limits, own)
        self._run.consts = [Cell(data, own) for data in program._consts]
        # A program that a stranger may have written is steered by that stranger from its first line on.
        pc = self._book.bottom if label.trusted and label.readers is None else own.steer
        self._frame = Frame(program._main, None, None, pc)
        self._run.frame = self._frame
        self._lines = max(1, *program._main.lines) if program._main.lines else 1
        self._asked = 0
        self._waiting: Request | None = None
        self._started = self._over = False
        for name in sorted(program.handles):
            if name not in handles:
                raise ProgramError(f"there is no value {name!r}; use one of those that you were shown")
            self._run.handles[name] = from_value(self._run, handles[name], Place(name), fixed=True)

    @property
    def steps(self) -> int:
        """Instructions run so far, and the work that long values cost."""
        return self._run.steps

    @property
    def steering_bits(self) -> int:
        """Bits that strangers' data have decided so far, those of earlier programs included."""
        return self._book.bits

    def next(self, answer: Value | ToolFailure | None = None) -> Event:
        """Go on until the next tool call or the end.

        Args:
            answer: None to begin; then the answer to the request that the last call returned.

        Raises:
            ProgramError: the run is over, an answer is missing or nobody asked for it, or it is no JSON.
        """
        run = self._run
        if self._over:
            raise ProgramError("this run of the program is over; start another one")
        if self._started != (answer is not None):
            raise ProgramError("the program waits for an answer" if answer is None else "the program has asked nothing")
        self._started = True
        try:
            run.grow(0)  # the handles
            if answer is not None:
                self._take(answer)
            while True:
                signal = run.loop(self._frame)
                if isinstance(signal, Returned):
                    value, _ = to_value(run, signal.cell, self._frame.pc)
                    self._over = True
                    return Finished(value, self._printed())
                try:
                    return self._request(signal)
                except Thrown as thrown:  # an argument that no tool can be passed
                    run.throw(thrown, self._frame)
        except Thrown as thrown:
            return self._failed(thrown)
        except LimitReachedError as error:
            self._over = True
            message = f"line {run.line_of(run.frame)}: {error}"
            return Failed(message, Value(message, run.frame.pc.join(self._book.ambient).label), self._printed())

    def _printed(self) -> list[Value]:
        """What was printed; by now more may be known of who decided that it was."""
        return [v.joined(self._book.ambient.label) for v in self._run.printed]

    def _take(self, answer: Value | ToolFailure) -> None:
        run, asked = self._run, self._waiting
        assert asked is not None
        self._waiting = None
        place = Place(f"{asked.tool}#{self._asked}")
        if isinstance(answer, ToolFailure):
            cell = from_value(run, answer.text, place, fixed=True)
            text, mark = run.view(cell)
            said = text if isinstance(text, str) else str(text)
            run.text_size(len(said))
            run.throw(Thrown("ToolError", f"the tool {asked.tool} failed", mark, said, place), self._frame)
            return
        cell = from_value(run, answer, place, fixed=False)
        if run.trying:
            run.risk(self._book.of(answer.label))
        run.frame.stack.append(cell)
        run.grow(0)

    def _request(self, asked: Request) -> ToolRequest:
        run = self._run
        pc = run.frame.pc
        arguments: dict[str, Value] = {}
        origins: dict[str, str] = {}
        whole: dict[str, bool] = {}
        for name, cell in asked.arguments.items():
            arguments[name], _ = to_value(run, cell, pc)
            origins[name], whole[name] = origin_of(run, cell)
        self._waiting = asked
        self._asked += 1
        if run.trying:  # that nothing was refused tells something too
            run.risk(self._book.join(reach(c) for c in asked.arguments.values()))
        label = pc.join(self._book.ambient).label
        return ToolRequest(asked.tool, arguments, origins, whole, run.line_of(run.frame), label)

    def _failed(self, thrown: Thrown) -> Failed:
        """What is told of an error that nothing caught: to the planner the message, the data only as a value."""
        self._over = True
        pc = thrown.pc or self._frame.pc
        line = thrown.line or self._run.line_of(self._run.frame)
        self._book.decide(thrown.mark.join(pc), bits_of(self._lines))  # which line it was tells something
        label = thrown.mark.join(pc).join(self._book.ambient).label
        message = f"line {line}: {thrown.message}"
        # The text of the program's own `raise` is shown when it is the program's alone.
        clean = thrown.mark.label.trusted and self._book.ambient is self._book.bottom
        if thrown.own and thrown.origin is None and clean:
            message = f"{message}: {thrown.detail[:500]}"
        elif not thrown.own and thrown.kind != "ToolError":
            message = f"line {line}: {thrown.kind}: {thrown.message}"
        return Failed(message, Value(f"line {line}: {thrown.kind}: {thrown.detail}", label), self._printed())
