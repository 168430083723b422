"""Reports → text: each format is a pure function that returns a string, or lines of marked text for a terminal."""

from deployguard.formats.document import check_document, render
from deployguard.formats.forms import FORMS, written
from deployguard.formats.github import github
from deployguard.formats.markdown import markdown
from deployguard.formats.report import (
    BackupEntry,
    CheckReport,
    DeployView,
    DiskUse,
    Fate,
    PruneReport,
    Standing,
    StatusReport,
    StepView,
)
from deployguard.formats.text import check_lines, text

__all__ = [
    "FORMS",
    "BackupEntry",
    "CheckReport",
    "DeployView",
    "DiskUse",
    "Fate",
    "PruneReport",
    "Standing",
    "StatusReport",
    "StepView",
    "check_document",
    "check_lines",
    "github",
    "markdown",
    "render",
    "text",
    "written",
]
