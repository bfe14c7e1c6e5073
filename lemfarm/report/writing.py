"""Reports in the home: `reports/<run>.html`, and beside it the same as Markdown."""

from dataclasses import dataclass
from pathlib import Path

from lemfarm.home import Home, write_whole
from lemfarm.report.chapters import compose
from lemfarm.report.facts import Report
from lemfarm.report.html import html_page
from lemfarm.report.markdown import markdown_page


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """Where the two files of a report are."""

    html: Path
    markdown: Path


def write_report(report: Report, home: Home) -> WrittenReport:
    """Write the report of a run over an earlier one. Raises NoSpace, OSError (disk full)."""
    document = compose(report)
    folder = home.ensure(home.reports)
    written = WrittenReport(folder / f"{report.name}.html", folder / f"{report.name}.md")
    write_whole(written.html, html_page(document).encode())
    write_whole(written.markdown, markdown_page(document).encode())
    return written
