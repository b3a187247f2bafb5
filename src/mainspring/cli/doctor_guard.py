"""What `mainspring doctor` looks at of the guard: configuration, policy, audit key, pins, sandbox. Small probes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mainspring.errors import MainspringError


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    Args:
        name: what was looked at.
        ok: it is there and works.
        needed: without it `doctor` fails; the rest is good to have.
        found: what was found.
        fix: what to do when it is not ok.
    """

    name: str
    ok: bool
    needed: bool
    found: str
    fix: str = ""


def configuration() -> Iterator[Check]:
    """The configuration and every file that it names, read exactly as a run reads them."""
    from mainspring.config import load_config
    from mainspring.runtime.settings import settings_of
    from mainspring.store import default_home

    fix = "correct it; until then no run starts, as its guard could not be set up"
    try:
        config = load_config(default_home())
    except MainspringError as error:
        yield Check("configuration", False, True, str(error), fix)
        return
    if config.path is None:
        yield Check("configuration", True, False, f"none; {default_home() / 'mainspring.toml'} is where it would be")
        return
    servers, people = len(config.mcp), len(config.people)
    found = f"{config.path}: {len(config.tools)} tools, {servers} MCP servers, {people} people"
    yield Check("configuration", True, True, found)
    files = [name for name in (config.policy.file, *config.policy.limits) if name]
    try:
        settings_of(default_home())
    except MainspringError as error:
        yield Check("policy", False, True, str(error), fix)
        return
    yield Check("policy", True, True, f"{', '.join(files)}: every rule is understood" if files else "the default one")


def audit_key() -> Iterator[Check]:
    """The key that the audit is signed with: there, whole, and its owner's alone."""
    from mainspring.store import default_home
    from mainspring.store.keys import signer

    path = default_home() / "keys" / "audit.key"
    if not path.parent.exists():
        yield Check("audit key", True, False, "none yet: it is made when the first run ends")
        return
    try:
        key = signer(default_home())
    except MainspringError as error:
        what, _, fix = str(error).rpartition(": ")
        yield Check("audit key", False, True, what or fix, fix)
        return
    yield Check("audit key", True, True, f"{path}, for its owner only; {key.public.id}")


def pins() -> Iterator[Check]:
    """Files and skills that instruct agents and are not (any more) as a person approved them."""
    from mainspring.cli.pins import content_of, held

    changed: list[str] = []
    pins = held().all()
    for pin in pins:
        try:
            if content_of(pin.kind, pin.name)[1].digest != pin.digest:
                changed.append(f"{pin.kind} {pin.name} has changed")
        except MainspringError:
            changed.append(f"{pin.kind} {pin.name} is missing")
    if not changed:
        yield Check("pins", True, False, f"{len(pins)}, all as they were approved" if pins else "nothing is pinned")
        return
    fix = "they are not used until a person approves them: mainspring pins diff NAME, mainspring pins approve NAME"
    yield Check("pins", False, False, "; ".join(changed), fix)


def sandbox() -> Iterator[Check]:
    """Whether commands can be run, and what bounds them: a filter of calls, namespaces, control groups, the proxy."""
    from mainspring.tools.sandbox import check

    works, found, fix = check()
    yield Check("sandbox", works, True, found, fix)
    yield _filter()
    yield from _namespaces()
    yield _groups()
    if works:
        yield _proxy()


def _filter() -> Check:
    from mainspring.tools import seccomp

    machine = os.uname().machine
    try:
        steps = len(seccomp.program(machine)) // 8
    except MainspringError as error:
        return Check("sandbox: system calls", False, True, str(error), "use one of those machines")
    return Check("sandbox: system calls", True, True, f"filtered ({steps} steps, for {machine})")


def _namespaces() -> Iterator[Check]:
    """Whether an ordinary user may make namespaces, as the kernel's own settings say."""
    limits = {"user/max_user_namespaces": "0", "kernel/unprivileged_userns_clone": "0"}
    limits |= {"kernel/apparmor_restrict_unprivileged_userns": "1"}
    off: list[str] = []
    for name, bad in limits.items():
        try:
            if Path("/proc/sys", name).read_text(encoding="ascii").strip() == bad:
                off.append(f"{name.replace('/', '.')} = {bad}")
        except (OSError, UnicodeDecodeError):
            continue  # this kernel has no such setting
    found = "; ".join(off) or "an ordinary user may make them"
    fix = "needed only where the sandbox does not work: allow user namespaces, or give bubblewrap a profile"
    yield Check("sandbox: namespaces", not off, False, found, fix)


def _groups() -> Check:
    from mainspring.tools import cgroup

    has = cgroup.available()
    found = f"the kernel bounds {' and '.join(has)}" if has else "none can be made here; a watchdog counts instead"
    fix = "start Mainspring in a delegated group: systemd-run --user --scope -p Delegate=yes mainspring ..."
    return Check("sandbox: control groups", len(has) == 2, False, found, fix)


def _proxy() -> Check:
    """A command that is granted a host, and asks for nothing: proxy, socket and forwarder have to come up for it."""
    from mainspring.tools.sandbox import Sandbox

    name = "sandbox: granted hosts"
    with tempfile.TemporaryDirectory(prefix="mainspring-check-") as folder:
        try:
            result = Sandbox(folder, hosts=("example.com",)).run(["true"], timeout_s=20)
        except (MainspringError, OSError) as error:
            return Check(name, False, False, str(error), "commands run all the same, without any network")
    if result.exit_code != 0:
        return Check(name, False, False, f"no: {result.output.strip()[:300]}", "commands run all the same, offline")
    return Check(name, True, False, "through a proxy that sees names and refuses private addresses")
