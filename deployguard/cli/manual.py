"""The command reference, docs/commands.md: what `--help` says of every command, in one page."""

import click

from deployguard.cli.group import LazyGroup, root

_HEAD = """\
# Commands

What `deployguard COMMAND --help` says, in one page. Data goes to stdout, everything for people to stderr; the exit
codes are explained in [exit-codes.md](exit-codes.md).
"""


def render() -> str:
    """The page, at 80 columns whatever the terminal."""
    top = click.Context(
        root, info_name="deployguard", terminal_width=80, help_option_names=["-h", "--help"]
    )
    return _HEAD + "".join(_sections(root, top))


def _sections(command: click.Command, context: click.Context) -> list[str]:
    lines = [line.rstrip() for line in command.get_help(context).splitlines()]
    sections = ["\n".join(["", f"## {context.command_path}", "", "```text", *lines, "```", ""])]
    if isinstance(command, LazyGroup):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            inner = click.Context(below, info_name=name, parent=context)
            sections += _sections(below, inner)
    return sections
