"""The report of a run: what was measured and decided, on one page, as HTML and as Markdown.

`reading` gathers facts from the database, `chapters` turns them into a document of plain blocks, `html` and `markdown`
write that document. Twin of `lemfarm report`:

    document = compose(read_report(database, "lek-27b"))
    html_page(document), markdown_page(document)

`write_report` puts both into the home, as a run does when it ends.
"""

from lemfarm.report.chapters import compose
from lemfarm.report.html import html_page
from lemfarm.report.markdown import markdown_page
from lemfarm.report.reading import read_report
from lemfarm.report.writing import WrittenReport, write_report

__all__ = ["WrittenReport", "compose", "html_page", "markdown_page", "read_report", "write_report"]
