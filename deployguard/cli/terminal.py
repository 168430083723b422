"""Output: data on stdout, people on stderr; colour, width and ASCII as the stream can bear them."""

import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TextIO

import click

from deployguard.formats.spans import Line, Span, Style, ascii_only, clean, paragraph
from deployguard.formats.text import command_lines

_LOOK: Mapping[Style, Mapping[str, object]] = MappingProxyType(
    {
        Style.TITLE: {"bold": True},
        Style.DIM: {"dim": True},
        Style.GOOD: {"fg": "green"},
        Style.BAD: {"fg": "red", "bold": True},
        Style.COMMAND: {"fg": "cyan"},
        Style.LOW: {"fg": "green"},
        Style.MEDIUM: {"fg": "yellow"},
        Style.HIGH: {"fg": "magenta", "bold": True},
        Style.CRITICAL: {"fg": "red", "bold": True},
    }
)
_QUIET_AFTER = 1.0  # seconds after which a silent action says what it is doing


@dataclass(frozen=True, slots=True)
class Out:
    """One stream, and what it can show."""

    stream: TextIO
    colour: bool
    utf8: bool
    width: int
    terminal: bool

    def lines(self, lines: Iterable[Line]) -> None:
        """Write lines of marked text."""
        for line in lines:
            self._echo("".join(self._paint(span) for span in line).rstrip())

    def write(self, text: str) -> None:
        """Write text for people: wrapped, control characters written out."""
        self.lines(paragraph(text, min(self.width, 110)))

    def raw(self, text: str) -> None:
        """Write a finished document as it is: JSON and XML are UTF-8, whatever a pipe or a file is said to be."""
        binary = getattr(self.stream, "buffer", None)
        if self.utf8 or self.terminal or binary is None:
            self._echo(text.removesuffix("\n"))
            return
        self.stream.flush()
        binary.write((text.removesuffix("\n") + "\n").encode())
        binary.flush()

    def problem(self, text: str) -> None:
        """Write an error's first sentence."""
        first, *more = paragraph(f"Error: {text}", min(self.width, 110))
        marked = tuple(Span(span.text, Style.BAD) for span in first)
        self.lines([marked, *more])

    def commands(self, commands: tuple[str, ...]) -> None:
        """Write what to type next."""
        self.lines(command_lines(commands))

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Say what is going on while the block lasts, if it lasts: a spinner, or one line on a plain stream."""
        if self.terminal:
            from rich.console import Console
            from rich.markup import escape

            console = Console(file=self.stream, no_color=not self.colour)
            with console.status(escape(self._plain(what)), spinner="dots" if self.utf8 else "line"):
                yield
            return
        timer = threading.Timer(_QUIET_AFTER, self.write, (f"{what} …",))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    @contextmanager
    def live(self) -> Iterator[Callable[[Iterable[Line]], None]]:
        """Lines that replace the former ones; for a terminal."""
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        console = Console(file=self.stream, no_color=not self.colour, width=self.width)
        with Live(console=console, auto_refresh=False) as shown:

            def replace(lines: Iterable[Line]) -> None:
                painted = ("".join(self._paint(span) for span in line).rstrip() for line in lines)
                shown.update(Text.from_ansi("\n".join(painted)), refresh=True)

            yield replace

    def _paint(self, span: Span) -> str:
        text = self._plain(span.text)
        look = _LOOK.get(span.style)
        if not self.colour or look is None or not text.strip():
            return text
        # A level in capitals with a space around it is a label of its own: shown reversed.
        chip = text == f" {text.strip()} " and text.isupper() and span.style in _LEVELS
        return click.style(text, reverse=chip or None, **look)  # type: ignore[arg-type]  # _LOOK names its parameters

    def _plain(self, text: str) -> str:
        return text if self.utf8 else ascii_only(text)

    def _echo(self, text: str) -> None:
        text = text if self.utf8 else ascii_only(text)
        try:
            click.echo(text, file=self.stream, color=self.colour)
        except BrokenPipeError:
            if self.stream is not sys.stderr:
                raise
            # Nobody hears it any more: no reason to stop a deploy in the middle, or to exit otherwise.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())


_LEVELS = (Style.GOOD, Style.LOW, Style.MEDIUM, Style.HIGH, Style.CRITICAL)


def data() -> Out:
    """Stdout."""
    return _out(sys.stdout)


def people() -> Out:
    """Stderr."""
    return _out(sys.stderr)


def interactive() -> bool:
    """Whether a person can be asked: both ends are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> str:
    """Ask a person on stderr, and return what was typed: "" at the end of input. Ctrl-C is KeyboardInterrupt."""
    click.echo(f"{clean(question)}: ", err=True, nl=False)
    try:
        return sys.stdin.readline().strip()
    except KeyboardInterrupt:
        click.echo(err=True)  # what comes next begins on a line of its own
        raise


def _out(stream: TextIO) -> Out:
    terminal = stream.isatty()
    no_colour = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    forced = os.environ.get("FORCE_COLOR", "") not in ("", "0")
    return Out(
        stream=stream,
        colour=(terminal or forced) and not no_colour,
        utf8=(stream.encoding or "").lower().replace("-", "") in ("utf8", "utf8sig"),
        width=_width(terminal=terminal),
        terminal=terminal and os.environ.get("TERM") != "dumb",
    )


def _width(*, terminal: bool) -> int:
    if not terminal and not os.environ.get("COLUMNS", "").isdigit():
        return 100
    return max(shutil.get_terminal_size((80, 24)).columns, 40)
