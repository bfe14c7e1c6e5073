"""Scores of stored texts: read where they are known, computed where they are not. Nothing is generated."""

from collections.abc import Iterable

import structlog

from lemfarm.database import prepared
from lemfarm.errors import Unavailable
from lemfarm.ledger import Ledger
from lemfarm.scorers import Scorer, get_scorer
from lemfarm.work import ScoredBy

log = structlog.get_logger()


def score_text(ledger: Ledger, text_id: int, prompt: str, content: str, wanted: Iterable[str]) -> dict[str, float]:
    """The value of each wanted scorer for one text; what is computed is stored with the scorer's version.

    A scorer that is absent or fails is left out: gates hold such a sample for a person. Raises Unavailable.
    """
    query = prepared("SELECT scorer, version, value FROM score WHERE text_id = :id")
    with ledger.database.read() as connection:
        rows = connection.execute(query, {"id": text_id}).all()
    known = {(row.scorer, row.version): row.value for row in rows}
    values = {}
    for name in wanted:
        try:
            scorer = get_scorer(name)
            value = known.get((scorer.name, scorer.version))
            values[name] = _score(ledger, text_id, scorer, prompt, content) if value is None else value
        except Unavailable:
            raise
        except Exception:  # a scorer that is absent or broken holds its own samples up, not the run
            log.exception("a stored text cannot be scored", scorer=name, text=text_id)
    return values


def _score(ledger: Ledger, text_id: int, scorer: Scorer, prompt: str, content: str) -> float:
    score = scorer.score(prompt, content)
    stored = ScoredBy(scorer.name, scorer.version, score.value, dict(score.signals))
    with ledger.database.write() as connection:
        ledger.add_scores(connection, text_id, [stored])
    return score.value
