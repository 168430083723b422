"""Every form that the answer of ``check`` can be written in; each is loaded when it is asked for."""

from deployguard.formats.report import CheckReport

FORMS = ("text", "json", "markdown", "github", "sarif", "gitlab", "junit", "html")


def written(form: str, report: CheckReport, prefix: str = "") -> str:
    """The report in one of ``FORMS``; ``prefix`` is the project's folder inside the repository."""
    match form:
        case "text":
            from deployguard.formats.text import text

            return text(report, 100)
        case "json":
            from deployguard.formats.document import check_document, render

            return render(check_document(report))
        case "markdown":
            from deployguard.formats.markdown import markdown

            return markdown(report)
        case "github":
            from deployguard.formats.github import github

            return github(report, prefix)
        case "sarif":
            from deployguard.formats.sarif import sarif

            return sarif(report, prefix)
        case "gitlab":
            from deployguard.formats.gitlab import gitlab

            return gitlab(report, prefix)
        case "junit":
            from deployguard.formats.junit import junit

            return junit(report, prefix)
        case "html":
            from deployguard.formats.html import html

            return html(report)
        case _:
            raise ValueError(form)
