"""Hosts on one machine: a network namespace for each, all on one bridge, each with a cable to be pulled at will."""

from __future__ import annotations

import contextlib
import os
import subprocess

SUBNET = "10.213.7"
HUB = f"{SUBNET}.1"


class NoNetwork(Exception):
    """Namespaces cannot be made here; the message says why."""


class Network:
    """A bridge in this namespace, and `hosts` namespaces on it."""

    def __init__(self, hosts: int) -> None:
        self._tag = f"ms{os.getpid() % 100_000}"
        self.hosts = hosts
        self._bridge = f"{self._tag}b"

    def __enter__(self) -> Network:
        try:
            _ip("link", "add", self._bridge, "type", "bridge")
            _ip("addr", "add", f"{HUB}/24", "dev", self._bridge)
            _ip("link", "set", self._bridge, "up")
            for number in range(self.hosts):
                self._add(number)
        except (OSError, subprocess.CalledProcessError) as error:
            self.close()
            said = getattr(error, "stderr", "") or str(error)
            raise NoNetwork(f"network namespaces need root and iproute2: {said.strip()}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take everything down again."""
        for number in range(self.hosts):
            with contextlib.suppress(OSError, subprocess.CalledProcessError):
                _ip("netns", "del", self.name(number))
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            _ip("link", "del", self._bridge)

    def name(self, number: int) -> str:
        """The namespace of a host."""
        return f"{self._tag}n{number}"

    def inside(self, number: int, command: list[str]) -> list[str]:
        """`command` as it is started on a host."""
        return ["ip", "netns", "exec", self.name(number), *command]

    def cut(self, number: int) -> None:
        """Pull a host's cable: what it sent and nobody has acknowledged is sent again when the cable is back."""
        _ip("link", "set", self._cable(number), "down")

    def mend(self, number: int) -> None:
        """Plug it in again."""
        _ip("link", "set", self._cable(number), "up")

    def _cable(self, number: int) -> str:
        return f"{self._tag}c{number}"

    def _add(self, number: int) -> None:
        name, here, there = self.name(number), self._cable(number), f"{self._tag}e{number}"
        _ip("netns", "add", name)
        _ip("link", "add", here, "type", "veth", "peer", "name", there)
        _ip("link", "set", there, "netns", name)
        _ip("link", "set", here, "master", self._bridge)
        _ip("link", "set", here, "up")
        for command in (
            ("addr", "add", f"{SUBNET}.{number + 10}/24", "dev", there),
            ("link", "set", "lo", "up"),
            ("link", "set", there, "up"),
        ):
            _ip("-n", name, *command)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
