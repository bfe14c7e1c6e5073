"""A verb that is a command and a group of commands at once: `lemfarm train lek-27b` beside `lemfarm train show`."""

from typing import Any

from typer.core import TyperGroup


class NowByDefault(TyperGroup):
    """`lemfarm train lek-27b` is `lemfarm train now lek-27b`: a first word that names no command is a run's."""

    default_command = "now"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command in front where none is named."""
        if not args or args[0] not in (*self.commands, "--help"):
            args = [self.default_command, *args]
        return super().parse_args(ctx, args)
