"""A finished result into the database, from the task that made it or from the spool."""

from lemfarm.curation.settling import settle_sample
from lemfarm.curation.signatures import sign
from lemfarm.ledger import Ledger
from lemfarm.records import Outcome
from lemfarm.work import Result


def store(ledger: Ledger, result: Result) -> bool:
    """Store a complete result, with what it means for its twins, in one transaction; False when the sample was done
    already. Raises Unavailable."""
    if not result.rejects_duplicates or result.outcome == Outcome.REJECTED:
        return ledger.record(result)
    signature = sign(result.content)
    return ledger.record(result, lambda connection: settle_sample(ledger, connection, result.sample_id, signature))
