"""Tools: plain functions that an agent may call, with what each may do declared beside it.

What is not said fails closed: the effect is irreversible, every argument is authority.
"""

from __future__ import annotations

import copy
import functools
import inspect
import json
import math
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, overload

from mainspring.errors import DeclarationError, ToolError
from mainspring.label import Label, tool_label
from mainspring.model import ToolSpec
from mainspring.signature import argument_docs, drop_titles, hints, member_names, summary, unbound
from mainspring.threads import in_thread

if TYPE_CHECKING:
    from pydantic import BaseModel

    from mainspring.value import Value

Effect: TypeAlias = Literal["read", "write", "irreversible"]
Role: TypeAlias = Literal["authority", "selector", "payload"]
#: Who wrote a field of a result: the service made it (ids, counts, times), the service vouches for it, or anyone did.
Origin: TypeAlias = Literal["system", "attested", "anyone"]
Settlement: TypeAlias = Literal["read", "keyed", "reconcile", "opaque"]

#: Parameters that say where a request goes: what such a call is passed leaves.
_ADDRESS = re.compile(
    r"(?:^|_)(?:url|uri|link|href|host|hostname|domain|endpoint|webhook|site|website|server|callback|proxy|feed"
    r"|address|recipient)s?(?:$|_)",
    re.IGNORECASE,
)
_CASE_CHANGE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|-")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool may know of the call; a parameter annotated with this class receives it.

    Args:
        run_id: the run that calls.
        key: the idempotency key of this effect: the same at every attempt, new for every other effect.
        workspace: the folder that the run may touch, or None.
        home: Mainspring's own folder, for caches and undo copies; never inside the workspace.
        prepared: what the tool's `prepare` returned before the intent was committed, or None.
        report: shows a line of progress to the person who watches.
        labels: argument -> label, for tools that store what they are given.
        principal: for whom the run acts, and who acts: ``("ann", "clerk")``; the last one is the agent itself.
        values: argument -> the value with a label for each field of it, for tools that hand it on.
        holds: False once another process may have taken the run over; a tool that acts without a key asks right before
            it does, and stops when its time is over.
    """

    run_id: str = ""
    key: str = ""
    workspace: Path | None = None
    home: Path | None = None
    prepared: Mapping[str, Any] | None = None
    report: Callable[[str], None] = field(default=lambda line: None)
    labels: Mapping[str, Label] = field(default_factory=dict)
    principal: tuple[str, ...] = ()
    values: Mapping[str, Value] = field(default_factory=dict)
    holds: Callable[[], bool] = field(default=lambda: True)


class NotYet(Exception):
    """Raise it in a tool that waits for something: the run sleeps, and the tool is called again under the same key.

    Only for tools that read and for keyed ones: these may be called again. A sleeper costs nothing.

    Args:
        reason: what it waits for, for a person.
        wake_at: Unix time at which to look again at the latest; None when only a message can wake the run.
    """

    def __init__(self, reason: str, *, wake_at: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wake_at = wake_at


@dataclass(frozen=True, slots=True)
class Happened:
    """A `reconcile` answer: the effect took place, and this is what it returned."""

    value: Any = None


@dataclass(frozen=True, slots=True)
class DidNotHappen:
    """A `reconcile` answer: the effect certainly did not take place; it may be run now."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A `reconcile` answer: nobody can tell; a person has to settle it."""

    reason: str = ""


Settled: TypeAlias = Happened | DidNotHappen | Unknown


class Tool:
    """A callable with its declaration. Made by :func:`tool`, or by :meth:`from_schema` for foreign tools.

    Attributes:
        name, description: what the model sees.
        effect: ``"read"``, ``"write"`` (can be undone or redone) or ``"irreversible"``.
        authority: arguments that decide who is paid, told or deleted. None declared means all of them.
        selector: arguments that decide which object is meant (an id, a path).
        outside: True when a call tells somebody outside what it is passed, even if it only reads (a web request).
            None declared means: yes for writes that cannot be undone, and for a read that takes an address.
        fields: path of a result's field -> who wrote it; what is not named was written by anyone.
        server: the MCP server that it belongs to, or "".
        keeps_labels: what it writes is kept with its labels (memory), so it needs neither a workspace nor a sandbox.
        key_argument: the parameter that receives the idempotency key, or None.
        undoable: True for a write that stays inside the workspace and that Mainspring can undo or that stays
            in a sandbox; the plain guard lets these pass.
        parallel: True when calls of this tool may run beside others.
        timeout_s: seconds after which a call is given up, or None.
        key_ttl_s: seconds for which the target honours an idempotency key; after that an interrupted call is parked.
        label: the label of its results.
        declares_effect: False when nobody said what it does, so that it is taken for irreversible.
        configured: the parts of its declaration that a person's configuration has set.
    """

    #: Whether its description is an outsider's that no person has looked at; a model that reads it has read a stranger.
    unseen = False
    #: Called with the run's id and the home when a process takes the run up again, before anything is done for it.
    recover: Callable[[str, Path], None] | None = None
    #: The same when it lets the run go, because it ended, waits or failed: what a tool holds for a run goes then.
    close: Callable[[str, Path], None] | None = None

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        effect: Effect | None = None,
        authority: typing.Sequence[str] | None = None,
        selector: typing.Sequence[str] = (),
        fields: Mapping[str, Origin | Label] | None = None,
        outside: bool | None = None,
        idempotency: str | None = None,
        reconcile: Callable[..., Any] | None = None,
        prepare: Callable[..., Any] | None = None,
        undoable: bool = False,
        parallel: bool | None = None,
        timeout_s: float | None = None,
        key_ttl_s: float | None = None,
        label: Label | None = None,
        schema: Mapping[str, Any] | None = None,
        server: str = "",
        keeps_labels: bool = False,
    ) -> None:
        if not callable(function):
            raise DeclarationError(f"{function!r} is no tool: it cannot be called")
        self.function = function
        plain = unbound(function)
        self.name = name if name is not None else getattr(plain, "__name__", "")
        if not isinstance(self.name, str) or not _NAME.match(self.name):
            raise DeclarationError(
                f"tool name {self.name!r} is not usable: 1 to 64 letters, digits, '_' or '-', "
                "starting with a letter or '_'; pass name=..."
            )
        self.declares_effect = effect is not None
        self.effect: Effect = self._known_effect("irreversible" if effect is None else effect)
        doc = inspect.getdoc(plain) or ""
        self.description = description if description is not None else summary(doc)
        self.reconcile = reconcile
        self.prepare = prepare
        self.undoable = undoable
        self.parallel = parallel if parallel is not None else self.effect == "read"
        self.timeout_s = timeout_s
        self.key_ttl_s = key_ttl_s
        self.label = label if label is not None else tool_label(self.name)
        self.declares_label = label is not None
        self.key_argument = idempotency
        self._given_schema = schema
        self.server = server
        self.configured: frozenset[str] = frozenset()
        self.keeps_labels = keeps_labels
        self._doc = doc
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004  an object whose __call__ is async
        )
        try:
            parameters = inspect.signature(function).parameters
        except (TypeError, ValueError) as error:
            raise DeclarationError(f"tool {self.name!r}: its parameters cannot be read: {error}; wrap it") from None
        # What a partial has bound by keyword is settled; its signature would offer it to the model as a default.
        bound = function.keywords if isinstance(function, functools.partial) else {}
        self._parameters = {name: parameter for name, parameter in parameters.items() if name not in bound}
        self._check_declaration()
        if idempotency is not None and schema is None and idempotency not in self._parameters:
            raise DeclarationError(
                f"tool {self.name!r}: idempotency={idempotency!r} names no parameter; it has {sorted(self._parameters)}"
            )
        self._declared_authority = None if authority is None else self._named("authority", authority)
        self.selector = self._named("selector", selector)
        self._outside = outside
        self.fields = self._checked_fields(fields)
        functools.update_wrapper(self, function, updated=())

    def _known_effect(self, effect: Effect) -> Effect:
        if effect not in ("read", "write", "irreversible"):
            raise DeclarationError(
                f"tool {self.name!r}: effect {effect!r} is unknown; use 'read', 'write' or 'irreversible'"
            )
        return effect

    def _named(self, what: str, names: typing.Sequence[str]) -> tuple[str, ...]:
        found = (names,) if isinstance(names, str) else tuple(names)
        unknown = [] if self._given_schema is not None else [n for n in found if n not in self._parameters]
        if unknown:
            raise DeclarationError(
                f"tool {self.name!r}: {what} {unknown} names no parameter; it has {sorted(self._parameters)}"
            )
        return found

    def _checked_fields(self, fields: Mapping[str, Origin | Label] | None) -> dict[str, Label]:
        readers = self.label.readers
        origins = {
            "system": Label(frozenset({f"made:{self.name}"}), readers),
            "attested": Label(frozenset({f"attested:{self.name}"}), readers),
            "anyone": Label(frozenset({f"tool:{self.name}"}), readers) if self.label.trusted else self.label,
        }
        found: dict[str, Label] = {}
        for path, origin in (fields or {}).items():
            label = origin if isinstance(origin, Label) else origins.get(origin)
            if label is None:
                raise DeclarationError(
                    f"tool {self.name!r}: field {path!r} is written by {origin!r}; say 'system', 'attested' or 'anyone'"
                )
            found[path] = label
        return found

    def _check_declaration(self) -> None:
        for what, number in (("timeout_s", self.timeout_s), ("key_ttl_s", self.key_ttl_s)):
            if number is not None and (
                isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < math.inf
            ):
                raise DeclarationError(
                    f"tool {self.name!r}: {what} must be a positive number of seconds, not {number!r}"
                )
        for what, function in (("reconcile", self.reconcile), ("prepare", self.prepare)):
            if function is not None and not callable(function):
                raise DeclarationError(f"tool {self.name!r}: {what} must be a function, not {function!r}")
        if not isinstance(self.label, Label):
            raise DeclarationError(f"tool {self.name!r}: label must be a Label, not {self.label!r}")
        if not isinstance(self.description, str):
            raise DeclarationError(f"tool {self.name!r}: description must be text, not {self.description!r}")
        if self._given_schema is not None:
            return
        for parameter in self._parameters.values():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise DeclarationError(
                    f"tool {self.name!r}: *args and **kwargs cannot be described to a model; name them"
                )
            if parameter.kind is parameter.POSITIONAL_ONLY:
                raise DeclarationError(
                    f"tool {self.name!r}: {parameter.name!r} is positional-only, and tools are called by "
                    "name; remove the '/'"
                )

    @classmethod
    def from_schema(
        cls,
        function: Callable[..., Any],
        *,
        name: str,
        description: str,
        schema: Mapping[str, Any],
        effect: Effect | None = None,
        **declared: Any,
    ) -> Tool:
        """A tool whose arguments are described by a JSON schema instead of type hints.

        `function` receives the arguments as keywords, checked by the schema's owner and not by us.
        """
        return cls(function, name=name, description=description, schema=schema, effect=effect, **declared)

    def with_declaration(
        self,
        *,
        effect: Effect | None = None,
        authority: typing.Sequence[str] | None = None,
        selector: typing.Sequence[str] | None = None,
        fields: Mapping[str, Origin | Label] | None = None,
        outside: bool | None = None,
        readers: typing.Iterable[str] | None = None,
        undoable: bool | None = None,
        parallel: bool | None = None,
        timeout_s: float | None = None,
        idempotency: str | None = None,
        key_ttl_s: float | None = None,
    ) -> Self:
        """A copy of which these parts are declared otherwise, stricter or looser; None leaves a part as it is.

        An argument that is made a selector carries no authority any more, and the other way round. A tool that turns
        irreversible is not undoable.

        Args:
            readers: who may read what it returns; the others are as `@tool` takes them.

        Raises:
            DeclarationError: something said does not fit the tool.
        """
        made = copy.copy(self)
        for derived in ("schema", "spec", "arguments_model", "known_keys", "_context_arguments"):
            vars(made).pop(derived, None)
        if effect is not None:
            made.effect, made.declares_effect = self._known_effect(effect), True
            made.undoable = self.undoable and effect == "write"
            if self.parallel == (self.effect == "read"):  # nobody said otherwise
                made.parallel = effect == "read"
        made.undoable = made.undoable if undoable is None else undoable
        made.parallel = made.parallel if parallel is None else parallel
        made.timeout_s = made.timeout_s if timeout_s is None else timeout_s
        made._outside = made._outside if outside is None else outside
        made._take_roles(authority, selector)
        if idempotency is not None and idempotency != self.key_argument:
            made._take_key(idempotency)
        made.key_ttl_s = made.key_ttl_s if key_ttl_s is None else key_ttl_s
        made._check_declaration()
        if readers is not None:
            allowed = frozenset(readers)
            made.label = Label(self.label.sources, allowed)
            made.fields = {path: Label(label.sources, allowed) for path, label in self.fields.items()}
        if fields is not None:
            made.fields = made._checked_fields(fields)
        return made

    def _take_roles(self, authority: typing.Sequence[str] | None, selector: typing.Sequence[str] | None) -> None:
        given = {"authority": authority, "selector": selector}
        found = {what: self._argument(what, names) for what, names in given.items() if names is not None}
        both = sorted(set(found.get("authority", ())) & set(found.get("selector", ())))
        if both:
            raise DeclarationError(f"tool {self.name!r}: {both} cannot be authority and selector at once")
        declared = self._declared_authority
        if "authority" in found:
            declared = found["authority"]
            self.selector = tuple(s for s in self.selector if s not in declared)
        if "selector" in found:
            self.selector = found["selector"]
            declared = None if declared is None else tuple(a for a in declared if a not in self.selector)
        self._declared_authority = declared

    def _take_key(self, name: str) -> None:
        """Let an argument receive our key, and the model not see it."""
        self._argument("idempotency", name)
        if name in (*(self._declared_authority or ()), *self.selector):
            raise DeclarationError(
                f"tool {self.name!r}: {name!r} receives our key, so it can be no authority and no selector"
            )
        if self._given_schema is not None:
            schema = dict(self._given_schema)
            schema["properties"] = {n: v for n, v in schema["properties"].items() if n != name}
            if isinstance(schema.get("required"), list):
                schema["required"] = [n for n in schema["required"] if n != name]
            self._given_schema = schema
        self.key_argument, self.key_ttl_s = name, None

    def _argument(self, what: str, names: typing.Sequence[str]) -> tuple[str, ...]:
        """Names of arguments that the model passes; unlike at the declaration, a schema's are known as well."""
        found = (names,) if isinstance(names, str) else tuple(names)
        unknown = [n for n in found if n not in self.argument_names]
        if unknown:
            raise DeclarationError(
                f"{what} {unknown} names no argument of {self.name}; it has {sorted(self.argument_names) or 'none'}"
            )
        return found

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the wrapped function directly, as plain Python."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Tool {self.name} effect={self.effect} settlement={self.settlement}>"

    @property
    def settlement(self) -> Settlement:
        """How an intent without an outcome is settled after a crash (the effect protocol's class)."""
        if self.effect == "read":
            return "read"
        if self.key_argument is not None:
            return "keyed"
        return "reconcile" if self.reconcile is not None else "opaque"

    @property
    def authority(self) -> tuple[str, ...]:
        """Arguments that carry authority; every argument when nothing was declared."""
        if self._declared_authority is not None:
            return self._declared_authority
        return tuple(self.schema.get("properties", {}))

    @property
    def declares_outside(self) -> bool:
        """True when the declaration says whether a call tells somebody outside what it is passed."""
        return self._outside is not None

    @property
    def declares_roles(self) -> bool:
        """True when the declaration says which arguments carry authority."""
        return self._declared_authority is not None

    def role(self, argument: str) -> Role:
        """What an argument decides. Of a tool that says nothing, every argument carries authority."""
        if argument in self.selector:
            return "selector"
        if self._declared_authority is None and not self.selector:
            return "authority"
        if argument not in self.argument_names:  # nothing is said of it, so it may decide anything
            return "authority"
        return "authority" if argument in (self._declared_authority or ()) else "payload"

    @property
    def argument_names(self) -> tuple[str, ...]:
        """Names of the arguments that a model passes; cheaper than the schema."""
        if self._given_schema is not None:
            return tuple(self._given_schema.get("properties", {}))
        return tuple(n for n in self._parameters if n != self.key_argument and n not in self._context_arguments)

    @property
    def defaults(self) -> dict[str, Any]:
        """What the arguments are when a call leaves them out; None where that is not known."""
        if self._given_schema is not None:
            found = self._given_schema.get("properties", {})
            return {n: p.get("default") if isinstance(p, Mapping) else None for n, p in found.items()}
        defaults = {n: self._parameters[n].default for n in self.argument_names}
        return {n: None if d is inspect.Parameter.empty else d for n, d in defaults.items()}

    @property
    def outside(self) -> bool:
        """True when a call tells somebody outside what it is passed."""
        if self._outside is not None:
            return self._outside
        if self.effect == "read":
            return any(_ADDRESS.search(_CASE_CHANGE.sub("_", name)) for name in self.argument_names)
        return not self.undoable

    @property
    def consequential(self) -> bool:
        """True when a call needs authority: it cannot be undone here, or it tells somebody outside something."""
        return self.outside or not (self.effect == "read" or (self.effect == "write" and self.undoable))

    @property
    def result_labels(self) -> dict[str, Label]:
        """Path -> label of its results, as :func:`mainspring.value.wrap` takes them."""
        return {"": self.label} | self.fields

    @functools.cached_property
    def known_keys(self) -> frozenset[str]:
        """Names of the result's members that the declaration fixes, so that no stranger can have chosen them."""
        names = {n for path in self.fields for n in re.findall(r"[A-Za-z_][A-Za-z0-9_-]*", path)}
        hint = hints(self.function).get("return") if self._given_schema is None else None
        return frozenset(names | member_names(hint))

    @functools.cached_property
    def _context_arguments(self) -> tuple[str, ...]:
        if self._given_schema is not None:
            return ()
        hinted = hints(self.function)
        return tuple(n for n in self._parameters if hinted.get(n) is ToolContext)

    @functools.cached_property
    def arguments_model(self) -> type[BaseModel]:
        """The pydantic model that checks what a model sends (made on first use)."""
        from pydantic import ConfigDict, Field, create_model

        hinted = hints(self.function)
        described = argument_docs(self._doc)
        fields: dict[str, Any] = {}
        for name, parameter in self._parameters.items():
            if name == self.key_argument or name in self._context_arguments:
                continue
            default = ... if parameter.default is parameter.empty else parameter.default
            annotation = hinted.get(name, Any)
            # The alias lets a parameter be called `schema` or `copy` without meeting BaseModel's own names.
            fields[f"arg_{name}"] = (
                annotation,
                Field(default, alias=name, description=described.get(name)),
            )
        try:
            return create_model(f"{self.name}_arguments", __config__=ConfigDict(extra="forbid"), **fields)
        except Exception as error:
            raise DeclarationError(f"tool {self.name!r}: its type hints cannot become a schema: {error}") from error

    @functools.cached_property
    def schema(self) -> Mapping[str, Any]:
        """JSON schema of the arguments, as the model sees it."""
        if self._given_schema is not None:
            return self._given_schema
        schema = self.arguments_model.model_json_schema(by_alias=True)
        drop_titles(schema)
        schema.pop("title", None)
        schema.setdefault("properties", {})
        return schema

    @functools.cached_property
    def spec(self) -> ToolSpec:
        """What a model is told of this tool."""
        return ToolSpec(self.name, self.description, self.schema)

    def validate(self, arguments: Mapping[str, Any], *, quote: bool = True) -> dict[str, Any]:
        """Check what a model sent and return typed values by parameter name.

        Args:
            quote: whether a complaint may quote the values; not those that the model passes on unseen.

        Raises:
            ToolError: with a message meant for the model: which argument, what was wrong, what is expected.
        """
        if self._given_schema is not None:
            return dict(arguments)
        from pydantic import ValidationError

        try:
            checked = self.arguments_model.model_validate(dict(arguments))
        except ValidationError as error:
            found = error.errors(include_url=False)[:8]
            if quote:
                lines = [
                    f"- {'.'.join(str(x) for x in e['loc']) or 'arguments'}: {e['msg']}"
                    + ("" if e["type"] == "missing" else f" (got {_short(e['input'])})")
                    for e in found
                ]
            else:
                lines = [f"- {e['loc'][0] if e['loc'] else 'arguments'}: {e['type']}" for e in found]
            wanted = ", ".join(
                f"{k}{'' if k in self.schema.get('required', ()) else '?'}" for k in self.schema["properties"]
            )
            raise ToolError(f"wrong arguments for {self.name}({wanted}):\n" + "\n".join(lines)) from None
        return {name[4:]: value for name, value in checked}

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> Any:
        """Run the function with checked arguments; a sync function runs in a thread.

        Whatever the function raises comes out unchanged.
        """
        return await self._invoke(self.function, arguments, context)

    async def run_prepare(self, arguments: Mapping[str, Any], context: ToolContext) -> Mapping[str, Any] | None:
        """Call the tool's `prepare(**arguments, context=...)`, whose JSON answer is journaled in the intent."""
        if self.prepare is None:
            return None
        value = await _in_thread_or_loop(self.prepare, dict(arguments) | {"context": context})
        if value is not None and not isinstance(value, Mapping):
            raise ToolError(f"tool {self.name!r}: prepare must return a dict or None, not {type(value).__name__}")
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False)
            text.encode("utf-8")
        except (TypeError, ValueError, RecursionError) as error:
            raise ToolError(f"tool {self.name!r}: what prepare returned cannot be journaled as JSON: {error}") from None
        found: Mapping[str, Any] | None = json.loads(text)  # no tuples, keys are text: the same after a crash
        return found

    async def run_reconcile(self, arguments: Mapping[str, Any], context: ToolContext) -> Settled:
        """Ask the tool's `reconcile(**arguments, context=...)` whether the effect took place."""
        if self.reconcile is None:
            return Unknown("the tool has no reconcile")
        settled = await _in_thread_or_loop(self.reconcile, dict(arguments) | {"context": context})
        if isinstance(settled, Happened | DidNotHappen | Unknown):
            return settled
        return Unknown(f"reconcile returned {settled!r} instead of Happened, DidNotHappen or Unknown")

    async def _invoke(self, function: Callable[..., Any], arguments: Mapping[str, Any], context: ToolContext) -> Any:
        kwargs = dict(arguments)
        if self.key_argument is not None:
            kwargs[self.key_argument] = context.key
        for name in self._context_arguments:
            kwargs[name] = context
        if self.is_async:
            return await function(**kwargs)
        value = await in_thread(functools.partial(function, **kwargs), context.key)
        return await value if inspect.isawaitable(value) else value


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *,
    effect: Effect = ...,
    authority: typing.Sequence[str] | None = ...,
    selector: typing.Sequence[str] = ...,
    fields: Mapping[str, Origin | Label] | None = ...,
    outside: bool | None = ...,
    keeps_labels: bool = ...,
    idempotency: str | None = ...,
    reconcile: Callable[..., Any] | None = ...,
    prepare: Callable[..., Any] | None = ...,
    name: str | None = ...,
    description: str | None = ...,
    undoable: bool = ...,
    parallel: bool | None = ...,
    timeout_s: float | None = ...,
    key_ttl_s: float | None = ...,
    label: Label | None = ...,
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(function: Callable[..., Any] | None = None, /, **declared: Any) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a tool of a plain sync or async function with type hints.

    Args:
        effect: ``"read"``, ``"write"`` (can be undone or redone) or ``"irreversible"`` (the default).
        authority: names of the arguments that decide who is paid, told or deleted.
        selector: names of the arguments that decide which object is meant.
        fields: who wrote which field of the result, such as ``{"[].id": "system", "[].sender": "attested"}``;
            what is not named was written by anyone.
        outside: a call tells somebody outside what it is passed, even if it only reads (a web request).
        idempotency: name of the parameter that receives a key which the target honours: a call repeated
            under the same key acts once. The model never sees this parameter.
        reconcile: ``reconcile(**arguments, context) -> Happened(value) | DidNotHappen() | Unknown()`` asks the
            service after a crash whether the effect took place (``context.key`` is the effect's key).
        prepare: ``prepare(**arguments, context) -> dict | None`` runs before the intent is committed; its answer is
            journaled with the intent and handed back as ``context.prepared``.
        name, description: instead of the function's own.
        undoable: a write that stays in the workspace and can be undone.
        parallel: may run beside other calls (default: only reads).
        timeout_s: seconds until a call is given up.
        key_ttl_s: seconds for which the target honours a key (default: for ever).
        label: label of the results (default: ``tool:NAME``).

    Raises:
        DeclarationError: something declared does not fit the function.
    """
    if function is not None:
        return Tool(function)
    return lambda f: Tool(f, **declared)


def as_tool(value: object) -> Tool:
    """Accept a Tool, a plain function, or a LangChain tool (anything with `name`, `args_schema` and `invoke`).

    A LangChain tool declares no effect, so it is irreversible until it is wrapped with a declaration.
    """
    if isinstance(value, Tool):
        return value
    if hasattr(value, "args_schema") and hasattr(value, "ainvoke") and hasattr(value, "name"):
        return _from_langchain(value)
    if callable(value):
        return Tool(value)
    raise DeclarationError(
        f"{value!r} is no tool: pass a function, an @tool function or a LangChain tool, not {type(value).__name__}"
    )


def _from_langchain(value: Any) -> Tool:
    schema_source = value.args_schema
    schema = schema_source if isinstance(schema_source, Mapping) else value.get_input_schema().model_json_schema()
    schema = json.loads(json.dumps(schema))
    drop_titles(schema)
    schema.pop("title", None)
    schema.setdefault("type", "object")
    schema.setdefault("properties", {})

    async def call(**arguments: Any) -> Any:
        return await value.ainvoke(arguments)

    return Tool.from_schema(call, name=value.name, description=value.description or "", schema=schema)


async def _in_thread_or_loop(function: Callable[..., Any], kwargs: dict[str, Any]) -> Any:
    accepted = inspect.signature(function).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
        kwargs = {k: v for k, v in kwargs.items() if k in accepted}
    if inspect.iscoroutinefunction(function):
        return await function(**kwargs)
    return await in_thread(functools.partial(function, **kwargs))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
