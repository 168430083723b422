"""How the saga speaks to people: one Protocol that the command line implements, and a silent one."""

from typing import Protocol

from deployguard.model import Approval, Decision, Json, Plan


class Reporter(Protocol):
    """Told what happens, and asked what only a person can answer. Nothing here may raise for a broken terminal."""

    def run_started(self, deploy: str, kind: str, environment: str) -> None:
        """A deploy, a rollback or a resume of one begins."""

    def step_started(self, name: str, title: str) -> None:
        """A step begins; ``title`` is for people ("Taking a backup")."""

    def step_done(self, name: str, title: str, seconds: float, evidence: dict[str, Json]) -> None:
        """A step is done, with the evidence that the journal keeps."""

    def step_failed(self, name: str, title: str, seconds: float, message: str) -> None:
        """A step failed."""

    def part_done(self, title: str, seconds: float, *, pending: bool) -> None:
        """A part of the step that runs is done; ``pending``: it counts only when the whole step does."""

    def note(self, text: str) -> None:
        """One sentence that people should read."""

    def log_line(self, line: str) -> None:
        """One line of the migration's own output, redacted, without newline."""

    def progress(self, text: str) -> None:
        """What is being waited for; may replace the former progress on a terminal."""

    def show_plan(self, plan: Plan, decision: Decision) -> None:
        """The plan that is about to run, and what the gate says of it."""

    def asks(self) -> bool:
        """Whether there is a person to ask."""

    def ask_approval(self, plan: Plan) -> Approval | None:
        """Show the plan and ask; None is "no", or that there is nobody to ask."""

    def confirm(self, warning: str, expected: str) -> bool:
        """Show ``warning``; true only when a person types ``expected``. False when there is nobody to ask."""


class Silent:
    """Says nothing and answers "no": for use from Python, where there is nobody to ask."""

    def run_started(self, deploy: str, kind: str, environment: str) -> None:
        pass

    def step_started(self, name: str, title: str) -> None:
        pass

    def step_done(self, name: str, title: str, seconds: float, evidence: dict[str, Json]) -> None:
        pass

    def step_failed(self, name: str, title: str, seconds: float, message: str) -> None:
        pass

    def part_done(self, title: str, seconds: float, *, pending: bool) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def log_line(self, line: str) -> None:
        pass

    def progress(self, text: str) -> None:
        pass

    def show_plan(self, plan: Plan, decision: Decision) -> None:
        pass

    def asks(self) -> bool:
        return False

    def ask_approval(self, plan: Plan) -> Approval | None:  # noqa: ARG002 - there is nobody to show it to
        return None

    def confirm(self, warning: str, expected: str) -> bool:  # noqa: ARG002 - the same
        return False
