"""Tells people on stderr how a deploy goes, and asks them what only a person can answer."""

# ruff: noqa: ARG002 - the methods have the Protocol's signatures

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from threading import RLock

from deployguard.cli.gist import everything, gist
from deployguard.cli.stack import Stack
from deployguard.cli.terminal import Out, ask, interactive, people
from deployguard.formats import CheckReport, check_lines, words
from deployguard.formats.spans import Line, Span, Style, clean, one_line, paragraph
from deployguard.model import Approval, Decision, Json, Plan, Risk


class TerminalReporter:
    """Implements ``deployguard.deploy.Reporter``: a spinner where stderr is a terminal, else a line a step.

    ``by`` is who approves when a person says yes at the prompt. ``verbose`` shows all evidence and the SQL.
    """

    def __init__(self, by: str, *, verbose: int = 0, out: Out | None = None) -> None:
        self.by = by
        self.verbose = verbose
        self.out = out or people()
        self.untold = ""  # why the last step failed, until it was said
        self.run = ""  # the id of the deploy, once it has one
        self._waiting = ExitStack()
        self._doing = ""  # what the spinner says
        self._shown = ""  # the digest of the plan that was shown
        self._stack = Stack()
        self._guard = RLock()  # the migration's log may arrive from a thread

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Take the spinner away when the block ends, whatever happened."""
        try:
            yield
        finally:
            self._wait("")

    def run_started(self, deploy: str, kind: str, environment: str) -> None:
        """Say which run this is; its id is what ``history`` and ``rollback`` take."""
        self.run = deploy
        self._say([(Span(f"{kind} {deploy}", Style.TITLE), Span(f" of {environment}"))])

    def step_started(self, name: str, title: str) -> None:
        """Show that the step runs."""
        self.tell()
        self._stack = Stack()
        self._wait(title)

    def step_done(self, name: str, title: str, seconds: float, evidence: dict[str, Json]) -> None:
        """Show that it is done, how long it took, and the gist of its evidence."""
        self._wait("")
        self._step("✓", Style.GOOD, title, seconds, "" if self.verbose else gist(name, evidence))
        for detail in everything(evidence) if self.verbose else ():
            self._say(paragraph(detail, self.out.width, indent=6, style=Style.DIM))

    def step_failed(self, name: str, title: str, seconds: float, message: str) -> None:
        """Show that it failed. Why is told by what comes next, or by the error that ends the run."""
        self._wait("")
        self._step("✗", Style.BAD, title, seconds, "")
        self.untold = message

    def tell(self) -> None:
        """Say why the last step failed, if nobody has."""
        why, self.untold = self.untold, ""
        if why:
            self._say(paragraph(why, self._width, indent=4))

    def part_done(self, title: str, seconds: float, *, pending: bool) -> None:
        """Write it below the step, with how long it took."""
        sign, style = ("·", Style.DIM) if pending else ("✓", Style.GOOD)
        took = f"  {words.seconds(seconds)}" + (", not committed yet" if pending else "")
        with self._paused():
            self._say([(Span(f"    {sign} ", style), Span(title), Span(took, Style.DIM))])

    def note(self, text: str) -> None:
        """Write a sentence."""
        self.tell()
        with self._paused():
            self._say(paragraph(text, self._width, indent=2, label="▸", hang=2))

    def log_line(self, line: str) -> None:
        """Write a line of the migration's output as it is, marked as such; stacks only when ``verbose``."""
        shown = line if self.verbose else self._stack.shown(line)
        if shown is None:
            return
        with self._paused():
            self._say([(Span("    | ", Style.DIM), Span(clean(shown).replace("\n", " ")))])

    def progress(self, text: str) -> None:
        """Replace what the spinner says; a plain stream shows it once it takes long."""
        self._wait(text)

    def show_plan(self, plan: Plan, decision: Decision) -> None:
        """Show the whole plan, once; what the gate says of it is told with its own step."""
        with self._paused():
            self._show(plan)

    def asks(self) -> bool:
        """Whether a person sits at the terminal."""
        return interactive()

    def ask_approval(self, plan: Plan) -> Approval | None:
        """Ask whether the plan may run; high and critical want the environment's name typed."""
        if not self.asks():
            return None
        with self._paused():
            self._show(plan)
            if plan.risk is not None and plan.risk >= Risk.HIGH:
                wanted = plan.environment
                answer = ask(f"Type {wanted} to approve this plan, anything else to stop")
            else:
                wanted = "yes"
                answer = ask("Type yes to run this plan, anything else to stop")
            if answer != wanted:
                return None
            reason = ask("Why (kept in the journal, may be empty)")
        return Approval(plan.digest, self.by, reason, datetime.now(UTC))

    def confirm(self, warning: str, expected: str) -> bool:
        """Warn, and want ``expected`` typed."""
        if not self.asks():
            return False
        with self._paused():
            self._say(paragraph(warning, self._width, style=Style.BAD))
            return ask(f"Type {expected} to go on, anything else to stop") == expected

    @property
    def _width(self) -> int:
        return min(self.out.width, 110)

    def _show(self, plan: Plan) -> None:
        if self._shown == plan.digest:
            return
        self._shown = plan.digest
        report = CheckReport(plan, Risk.CRITICAL, show_sql=self.verbose > 0, deploying=True)
        self._say([(), *check_lines(report, self.out.width), ()])

    def _step(self, sign: str, style: Style, title: str, seconds: float, brief: str) -> None:
        took = f"  {words.seconds(seconds)}" if seconds >= 0.05 else ""
        room = max(self._width - len(title) - len(took) - 8, 0)
        brief = one_line(brief)
        brief = brief if len(brief) <= room else brief[: max(room - 1, 0)] + "…"
        self._say(
            [
                (
                    Span(f"  {sign} ", style),
                    Span(title),
                    Span(f"  {brief}" if brief else "", Style.DIM),
                    Span(took, Style.DIM),
                )
            ]
        )

    def _wait(self, text: str) -> None:
        with self._guard:
            self._waiting.close()
            self._doing = one_line(text)
            if self._doing:
                self._waiting.enter_context(self.out.busy(self._doing))

    @contextmanager
    def _paused(self) -> Iterator[None]:
        """Let no spinner draw over what is written; it goes on afterwards."""
        with self._guard:
            doing = self._doing
            self._wait("")
            yield
            self._wait(doing)

    def _say(self, lines: list[Line]) -> None:
        try:
            self.out.lines(lines)
        except OSError:
            return  # a terminal that went away must not stop a migration half-way
