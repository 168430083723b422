"""What was done with a backup that lies with a provider: facts under names, in each form."""

from dataclasses import dataclass

from deployguard.formats.markdown import escape
from deployguard.formats.records import fact_lines, markdown_table
from deployguard.formats.spans import Line
from deployguard.formats.text import command_lines
from deployguard.model import Json


@dataclass(frozen=True, slots=True)
class ProviderReport:
    """``what`` names the schema ("rds-copy"); ``facts`` are texts under small names, in order."""

    what: str
    facts: tuple[tuple[str, str], ...]
    next_commands: tuple[str, ...] = ()


def provider_lines(report: ProviderReport, width: int = 80) -> list[Line]:
    """The facts, a line each."""
    return [*fact_lines(report.facts, width), *command_lines(report.next_commands)]


def provider_document(report: ProviderReport) -> Json:
    """The facts as ``deployguard.<what>/1``."""
    return {
        "schema": f"deployguard.{report.what}/1",
        **{name.replace(" ", "_"): text for name, text in report.facts},
        "next_commands": [*report.next_commands],
    }


def provider_markdown(report: ProviderReport) -> str:
    """The facts as a table."""
    return markdown_table(("", ""), [(name, escape(text)) for name, text in report.facts])
