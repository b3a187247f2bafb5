"""What the person who owns a home has configured for every run in it: policy, limits, people, secrets, tools."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.guard import Policy
from mainspring.tool import Tool

if TYPE_CHECKING:
    from mainspring.config import Config
    from mainspring.config.sections import ApprovalRule
    from mainspring.guard import Limits
    from mainspring.guard.people import People
    from mainspring.secrets import Secrets


@dataclass(frozen=True, slots=True)
class Settings:
    """A home's configuration, ready for use.

    Args:
        policy: the person's own policy, beside each agent's; None without one.
        limits: the organisation's, which nothing can widen.
        rules: who has to say yes to what.
        approval_ttl_s: how long a question stays open; None is the runtime's own.
    """

    config: Config | None = None
    policy: Policy | None = None
    limits: Limits | None = None
    people: People | None = None
    rules: tuple[ApprovalRule, ...] = ()
    secrets: Secrets | None = None
    approval_ttl_s: float | None = None
    state: tuple[object, ...] = field(default=(), compare=False)

    def configured(self, tools: dict[str, Tool]) -> dict[str, Tool]:
        """The tools as the person has declared them."""
        if self.config is None or not self.config.tools:
            return tools
        return {name: self.config.apply_to(tool) for name, tool in tools.items()}


_NONE = Settings()
_read: dict[Path, Settings] = {}


def settings_of(home: Path) -> Settings:
    """The settings of a home; read again when the configuration or a file that it names has changed.

    Raises:
        DeclarationError: something in it is wrong. A run whose guard cannot be set up does not start.
    """
    named = os.environ.get("MAINSPRING_CONFIG")
    path = Path(named) if named else home / "mainspring.toml"
    if not named and not os.path.lexists(path):
        return _NONE
    known = _read.get(home)
    if known is not None and known.state and known.state == _state(path, known):
        return known
    _read[home] = _load(home, path)
    return _read[home]


def _load(home: Path, path: Path) -> Settings:
    from mainspring.config import load_config
    from mainspring.guard import Limits
    from mainspring.guard.people import People
    from mainspring.secrets import Secrets

    config = load_config(home)
    people = People.of(config.people)
    roles = people.roles or None
    policy, limits = config.policy.file, config.policy.limits
    made = Settings(
        config,
        Policy.cedar(config.file(policy), people=roles) if policy else None,
        Limits([config.file(name) for name in limits], people=roles) if limits else None,
        people,
        config.approvals.rules,
        Secrets(config.secrets, folder=path.parent) if config.secrets else None,
        config.approvals.ttl,
    )
    for rule in made.rules:
        people.who(rule.approvers)  # a name that nobody has is found now, not when somebody must answer
    object.__setattr__(made, "state", _state(path, made))
    return made


def _state(path: Path, settings: Settings) -> tuple[object, ...]:
    """What would show that a file has changed: its time, size and place on disk."""
    files = [path]
    if settings.config is not None:
        policy = settings.config.policy
        files += [settings.config.file(name) for name in (policy.file, *policy.limits) if name]
    found: list[object] = []
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            return ()
        found.append((file, stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)
