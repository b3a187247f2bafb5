"""Secrets by reference: filled in at the last moment, and scrubbed from whatever comes back."""

from __future__ import annotations

import logging
import re
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mainspring.errors import DeclarationError, ToolError
from mainspring.label import Label
from mainspring.secrets.matcher import Matcher, Stream
from mainspring.secrets.source import read_source
from mainspring.value import MAX_DEPTH, Labelled, Value

_NAME = r"[A-Za-z_][A-Za-z0-9_.-]{0,99}"
_WHOLE = re.compile(rf"secret:({_NAME})\Z")
_WITHIN = re.compile(rf"\{{secret:({_NAME})\}}")
_ADDRESS = re.compile(r"\s*(?:[A-Za-z][A-Za-z0-9+.-]*:)?[/\\]{2}")
_SOURCES = ("env:", "file:", "command:")
#: Seconds for which the answer of a `command:` is used again.
COMMAND_KEPT_S = 300.0


@dataclass(frozen=True, slots=True)
class Rule:
    """Where a secret may be filled in. A secret without a rule is filled in for no tool.

    Args:
        tools: names of tools; ``"*"`` is any.
        agents: names of agents; ``"*"`` is any.
        hosts: when given, every address among the call's arguments must lie on one of these hosts, and there must be
            one: the secret goes nowhere else.
    """

    tools: tuple[str, ...] = ()
    agents: tuple[str, ...] = ("*",)
    hosts: tuple[str, ...] = ()


@dataclass(slots=True)
class _Secret:
    name: str
    source: str
    rule: Rule
    value: str = ""
    read_at: float = 0.0
    seen: set[str] = field(default_factory=set)


def references(value: Any) -> set[str]:
    """Names of the secrets that a value refers to: ``secret:NAME`` as a whole text, ``{secret:NAME}`` within one."""
    found: set[str] = set()
    if isinstance(value, str):
        whole = _WHOLE.match(value)
        return {whole.group(1)} if whole else set(_WITHIN.findall(value))
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            found |= references(item)
    return found


class Secrets:
    """All secrets of a configuration.

    Models, journals and approvals see references; only what `fill` returns holds values, and it goes to the tool alone.

    Args:
        config: name -> where it is kept (``env:X``, ``file:PATH``, ``command:...``), or a table with ``from`` and the
            keys of :class:`Rule`: ``{"from": "env:X", "tools": ["http_post"], "hosts": ["api.example.com"]}``.
        rules: name -> where it may be filled in, for those given as text.
        folder: what relative paths are relative to.

    Raises:
        DeclarationError: an entry is not understood. The entry's text is not quoted, as it may be the secret itself.
    """

    def __init__(
        self, config: Mapping[str, Any], rules: Mapping[str, Rule] | None = None, folder: Path | None = None
    ) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._matcher: Matcher | None = None
        self._all: dict[str, _Secret] = {}
        for name, entry in config.items():
            self._all[name] = _declared(name, entry, (rules or {}).get(name, Rule()))
        unknown = sorted(set(rules or ()) - set(self._all))
        if unknown:
            raise DeclarationError(f"rules are given for secrets that are not declared: {', '.join(unknown)}")

    @property
    def names(self) -> list[str]:
        """The names, which are no secret."""
        return sorted(self._all)

    def resolve(self, reference: str) -> str:
        """The value behind ``secret:NAME`` or ``{secret:NAME}`` within a text, for Mainspring's own use.

        For what a configuration says (a server's header, a variable), never for what a model wrote: no rule is
        asked. Raises ToolError.
        """
        return str(self._filled(reference))

    def fill(
        self,
        arguments: Mapping[str, Any],
        tool: str,
        principal: Sequence[str] = (),
        labels: Mapping[str, Label] | None = None,
    ) -> dict[str, Any]:
        """The arguments with each reference replaced by its secret, for the tool alone.

        Call it after the intent is committed and before the tool runs; journal and show `arguments`, never the
        answer. A `command:` may take seconds, so call it outside the event loop when one is configured.

        Args:
            principal: for whom the run acts and who acts; the last one is the agent.
            labels: argument -> label. In what a stranger may have written, references are plain text.

        Raises:
            ToolError: a secret is not allowed here, unknown, or cannot be read.
        """
        trusted = {
            name: value
            for name, value in arguments.items()
            if labels is None or (name in labels and labels[name].trusted)
        }
        names = references(trusted)
        if not names:
            return dict(arguments)
        agent = principal[-1] if principal else ""
        for name in sorted(names):
            refused = self._refused(name, tool, agent, arguments)
            if refused:
                raise ToolError(refused)
        return {name: self._filled(value) if name in trusted else value for name, value in arguments.items()}

    def _refused(self, name: str, tool: str, agent: str, arguments: Mapping[str, Any]) -> str | None:
        secret = self._all.get(name)
        mine = sorted(n for n, s in self._all.items() if _allows(s.rule, tool, agent))
        others = f"; {tool} may use {', '.join(mine)}" if mine else f"; {tool} may use none"
        if secret is None:
            # A tool that may use none at all is left alone: it gets the text, which stands for nothing.
            return f"there is no secret {name!r}{others}" if mine else None
        if not _allows(secret.rule, tool, agent):
            who = f"agent {agent} with tool {tool}" if agent else f"tool {tool}"
            return f"secret {name!r} is not given to {who}{others}. No tool shows a secret's value"
        if secret.rule.hosts:
            hosts = set(_hosts(arguments))
            if not hosts or hosts - {h.lower() for h in secret.rule.hosts}:
                return (
                    f"secret {name!r} goes only to {', '.join(secret.rule.hosts)}, "
                    f"and this call names {', '.join(sorted(hosts)) or 'no address'}"
                )
        return None

    def _filled(self, value: Any) -> Any:
        if isinstance(value, str):
            whole = _WHOLE.match(value)
            if whole:
                return self._value(whole.group(1)) if whole.group(1) in self._all else value
            return _WITHIN.sub(lambda m: self._value(m.group(1)) if m.group(1) in self._all else m.group(), value)
        if isinstance(value, Mapping):
            return {key: self._filled(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._filled(item) for item in value]
        return value

    def _value(self, name: str) -> str:
        secret = self._all[name]
        with self._lock:
            now = time.monotonic()
            if not (secret.source.startswith("command:") and secret.value and now - secret.read_at < COMMAND_KEPT_S):
                secret.value, secret.read_at = read_source(name, secret.source, self._folder), now
            if secret.value not in secret.seen:
                secret.seen.add(secret.value)  # one that was rotated stays scrubbed
                self._matcher = None
            return secret.value

    def _compiled(self) -> Matcher:
        with self._lock:
            if self._matcher is None:
                for secret in self._all.values():
                    if not secret.seen and not secret.source.startswith("command:"):
                        # Another program may show it before we have ever filled it in.
                        self._read_ahead(secret)
                self._matcher = Matcher({name: secret.seen for name, secret in self._all.items()})
            return self._matcher

    def _read_ahead(self, secret: _Secret) -> None:
        try:
            secret.seen.add(read_source(secret.name, secret.source, self._folder))
        except ToolError:
            return  # it cannot be filled in either, and `fill` says why

    def scrub(self, value: Any) -> Any:
        """The same value with every secret in it replaced by ``[secret:NAME]``.

        Texts, numbers, lists, dicts and labelled values are looked through; anything else comes back as it is, so
        scrub what is about to be stored or shown, after it became JSON or text.
        """
        matcher = self._compiled()
        return _scrubbed(value, matcher, 0) if matcher else value

    def scrub_error(self, error: BaseException) -> str:
        """The error with its traceback as text without secrets; its arguments, notes and causes are changed too."""
        text = "".join(traceback.format_exception(error))
        seen: set[int] = set()
        waiting: list[BaseException | None] = [error]
        while waiting:
            found = waiting.pop()
            if found is None or id(found) in seen:
                continue
            seen.add(id(found))
            found.args = tuple(self.scrub(a) for a in found.args)
            if hasattr(found, "__notes__"):
                found.__notes__ = self.scrub(found.__notes__)
            waiting += [found.__cause__, found.__context__]
            if isinstance(found, BaseExceptionGroup):
                waiting += found.exceptions
        return str(self.scrub(text))

    def stream(self) -> Stream:
        """A scrubber for text that comes in pieces, such as a command's output."""
        return Stream(self._compiled())

    def log_filter(self) -> logging.Filter:
        """For ``logging.Handler.addFilter``: nothing that the handler writes holds a secret."""
        return _LogFilter(self)


def _declared(name: str, entry: Any, rule: Rule) -> _Secret:
    if not re.fullmatch(_NAME, name):
        raise DeclarationError(f"{name!r} cannot name a secret; use letters, digits, '_', '.' or '-'")
    if isinstance(entry, Mapping):
        table = dict(entry)
        source = table.pop("from", None)
        unknown = sorted(set(table) - {"tools", "agents", "hosts"})
        wrong = [k for k, v in table.items() if not isinstance(v, list | tuple) or not all(map(_is_text, v))]
        if unknown or wrong:
            raise DeclarationError(
                f"secret {name!r}: {', '.join(unknown or wrong)} is not understood; use from, tools, agents, hosts, "
                "the last three as lists of names"
            )
        rule = replace(rule, **{key: tuple(value) for key, value in table.items()})
    else:
        source = entry
    if not isinstance(source, str) or not any(source.startswith(s) and source[len(s) :].strip() for s in _SOURCES):
        raise DeclarationError(
            f'secret {name!r} does not say where it is kept; use "env:NAME", "file:PATH" or "command:...", '
            "never the secret itself"
        )
    return _Secret(name, source, rule)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _allows(rule: Rule, tool: str, agent: str) -> bool:
    return any(t in ("*", tool) for t in rule.tools) and any(a in ("*", agent) for a in rule.agents)


def _hosts(value: Any) -> list[str]:
    """The host of every address in the arguments; what cannot be read plainly counts as a host of its own."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [host for item in value for host in _hosts(item)]
    return [_plain_host(value)] if isinstance(value, str) and _ADDRESS.match(value) else []


def _plain_host(url: str) -> str:
    try:
        parts = urlsplit(url)
        if "\\" in url or "@" in parts.netloc or parts.scheme not in ("http", "https") or parts.port == 0:
            return "an address that is not plainly written"
        return (parts.hostname or "an address without a host").lower()
    except ValueError:
        return "an address that is not plainly written"


def _scrubbed(value: Any, matcher: Matcher, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ToolError(f"the value is nested deeper than {MAX_DEPTH} levels, or holds itself")
    if isinstance(value, str):
        return matcher.replace(value)
    if isinstance(value, bytes):
        text = value.decode("utf-8", "surrogateescape")
        changed = matcher.replace(text)
        return value if changed == text else changed.encode("utf-8", "surrogateescape")
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        if isinstance(value, int) and abs(value) > 10**4000:
            return value  # longer than Python writes out, and than any secret
        text = str(value)
        changed = matcher.replace(text)
        return value if changed == text else changed
    if isinstance(value, Labelled):
        return Labelled(_scrubbed(value.value, matcher, depth + 1), value.labels)
    if isinstance(value, Value):
        return Value(_scrubbed(value.data, matcher, depth + 1), value.label)
    if isinstance(value, Mapping):
        return {_scrubbed(k, matcher, depth + 1): _scrubbed(v, matcher, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = [_scrubbed(item, matcher, depth + 1) for item in value]
        return type(value)(items) if type(value) in (list, tuple, set, frozenset) else items
    return value


class _LogFilter(logging.Filter):
    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self._secrets = secrets

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._secrets.scrub(record.getMessage()), None
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = self._secrets.scrub_error(record.exc_info[1]).rstrip("\n")
        if record.stack_info:
            record.stack_info = self._secrets.scrub(record.stack_info)
        return True
