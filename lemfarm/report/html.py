"""A report as one HTML page that needs nothing else: no network, no scripts, no files beside it.

Answers are written by models, so that nothing in them may be taken for markup: the templates escape every text, and
the page forbids scripts and whatever would be loaded.
"""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lemfarm import __version__
from lemfarm.report.charts import draw
from lemfarm.report.document import Block, Document, Heading, Picture

_FOLDER = Path(__file__).parent / "page"


def html_page(document: Document) -> str:
    """The whole page. The same document always gives the same page."""
    style = Markup((_FOLDER / "style.css").read_text(encoding="utf-8"))
    return _environment().get_template("page.html.jinja").render(
        document=document, style=style, version=__version__, kind=_kind, drawn=_drawn
    )  # fmt: skip


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _kind(block: Block | Heading) -> str:
    """Which macro writes it."""
    return type(block).__name__.lower()


def _drawn(picture: Picture) -> Markup:
    where = "The figures stand in the table below it."
    return draw(picture.chart, f"{picture.chart.title}. {where}")
