"""A click group whose commands are imported only when they are used."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """A group that knows its commands by name, place and one line of help.

    Args:
        lazy: command name to (``"module:attribute"``, one line for ``--help``).
        default: the command meant when none is named.
        any_word: `default` is also meant when the first word is no command's name; it is then its argument.
    """

    def __init__(
        self,
        *args: Any,
        lazy: Mapping[str, tuple[str, str]],
        default: str | None = None,
        any_word: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy)
        self.default = default
        self.any_word = any_word
        self.no_args_is_help = default is None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order in which they were declared."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module that holds the command."""
        found = self.lazy.get(cmd_name)
        if found is None:
            return None
        module, _, attribute = found[0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from their one-line help, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.lazy.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command first when none is named."""
        if self.default is not None and self._means_default(args):
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def _means_default(self, args: list[str]) -> bool:
        if not args:
            return not self.any_word
        if args[0] in ("-h", "--help"):
            return False
        if args[0].startswith("-"):
            return True
        # One word that resembles a command is a slip of the finger, and no argument of the default.
        slip = " " not in args[0] and difflib.get_close_matches(args[0], self.lazy, n=1, cutoff=0.7)
        return self.any_word and args[0] not in self.lazy and not slip

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one fails with what was probably meant."""
        name = args[0]
        if name not in self.lazy and not name.startswith("-"):
            inner = [f"{outer} {name}" for outer in self.lazy if name in self._commands_of(ctx, outer)]
            near = [repr(each) for each in inner or difflib.get_close_matches(name, self.lazy, n=1, cutoff=0.5)]
            hint = f"did you mean {' or '.join(near)}?" if near else f"commands are {', '.join(self.lazy)}"
            raise click.UsageError(f"there is no command {name!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def _commands_of(self, ctx: click.Context, name: str) -> list[str]:
        command = self.get_command(ctx, name)
        return command.list_commands(ctx) if isinstance(command, click.Group) else []
