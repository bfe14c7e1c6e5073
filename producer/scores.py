"""Scores of stored texts: read where they are known, computed where they are not. Nothing is generated."""

from collections.abc import Iterable

from lemfarm.database import prepared
from lemfarm.ledger import Ledger
from lemfarm.scorers import get_scorer
from lemfarm.work import ScoredBy


def score_text(ledger: Ledger, text_id: int, prompt: str, content: str, wanted: Iterable[str]) -> dict[str, float]:
    """The value of each wanted scorer for one text; what is computed is stored with the scorer's version."""
    query = prepared("SELECT scorer, version, value FROM score WHERE text_id = :id")
    with ledger.database.read() as connection:
        rows = connection.execute(query, {"id": text_id}).all()
    known = {(row.scorer, row.version): row.value for row in rows}
    values = {}
    for name in wanted:
        scorer = get_scorer(name)
        value = known.get((scorer.name, scorer.version))
        if value is None:
            score = scorer.score(prompt, content)
            value = score.value
            with ledger.database.write() as connection:
                ledger.add_scores(
                    connection, text_id, [ScoredBy(scorer.name, scorer.version, value, dict(score.signals))]
                )
        values[name] = value
    return values
