"""Writes the baseline of a history."""

import os
from pathlib import Path

from deployguard.cli.app import App
from deployguard.cli.checking import save, without_database
from deployguard.cli.terminal import data, people
from deployguard.deploy.accepting import baseline_document, load_baseline
from deployguard.deploy.assess import history
from deployguard.formats import render


def write_baseline(app: App, output: Path | None, dialect: str | None, env: str | None) -> None:
    """Judge the history and write the file, keeping what it says of other dialects. Raises UsageError."""
    config, environment, environ = without_database(app, env, dialect)
    configured = config.directory / config.project.baseline
    path = Path.cwd() / output if output else configured
    former = load_baseline(path, path.name) if path.exists() else None
    with people().busy("Reading the history"):
        judged_for, verdicts = history(config, environment, environ)
    document, found = baseline_document(former, judged_for, verdicts)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    save(beside, render(document), "w")
    beside.replace(path)
    count = len({one.revision.id for one in verdicts})
    revisions = "1 revision" if count == 1 else f"{count} revisions"
    data().write(f"Wrote {path}: {found} findings of {revisions} on {judged_for}.")
    if path.resolve() != configured.resolve():
        shown = os.path.relpath(path, config.directory)
        people().write(f'check looks for it where [project] says so: baseline = "{shown}".')
