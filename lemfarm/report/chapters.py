"""The chapters of a report in their order, and what is said of those that have nothing to say yet."""

from collections.abc import Callable

from lemfarm.report.chapters_course import at_a_glance, quotas, scores
from lemfarm.report.chapters_evaluation import answers, before_and_after, domains
from lemfarm.report.chapters_training import gates, trainings
from lemfarm.report.chapters_work import cost, curation, reproducibility
from lemfarm.report.document import Chapter, Document
from lemfarm.report.facts import Report
from lemfarm.report.figures import moment

#: Each gives its chapter, or the reason why there is none.
_CHAPTERS: tuple[Callable[[Report], Chapter | str], ...] = (
    at_a_glance,
    quotas,
    scores,
    trainings,
    gates,
    before_and_after,
    domains,
    answers,
    curation,
    cost,
    reproducibility,
)


def compose(report: Report) -> Document:
    """The whole report. The same facts always give the same document."""
    found = [make(report) for make in _CHAPTERS]
    return Document(
        title=f"Report of run {report.name}",
        subtitle=f"{report.status.state}, as of {moment(report.read)}",
        chapters=tuple(one for one in found if isinstance(one, Chapter)),
        left_out=tuple(one for one in found if isinstance(one, str)),
    )
