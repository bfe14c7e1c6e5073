"""`lemfarm verify`: the invariants of the farm, asked of the rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session, col, select

from lemfarm.candidates import cell_candidates, given_up_probes
from lemfarm.curation.settling import unsettled
from lemfarm.database import Database
from lemfarm.identity import content_hash, fingerprint, sample_id, sample_seed
from lemfarm.ledger import Ledger
from lemfarm.records import Kernel, Phase, Purpose, Run, Sample, Variant
from lemfarm.runs import find_run
from producer.course import EVALUATION

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant, whether it holds, and the ids that break it."""

    name: str
    holds: bool
    said: str
    offenders: tuple[str, ...] = ()


#: Each query returns the ids that break the rule of its name.
_RULES: Mapping[str, str] = {
    "every done sample has exactly one answer from its engine": """SELECT s.id FROM sample s
        LEFT JOIN text t ON t.sample_id = s.id AND t.revision = 0
        WHERE s.run_id = :run AND s.state = 'done' GROUP BY s.id HAVING count(t.id) <> 1""",
    "no answer belongs to a sample that is not done": """SELECT s.id FROM sample s JOIN text t ON t.sample_id = s.id
        WHERE s.run_id = :run AND s.state <> 'done'""",
    "every done sample was stored once": """SELECT s.id FROM sample s LEFT JOIN attempt a ON a.sample_id = s.id
        AND a.ending = 'done' WHERE s.run_id = :run
        GROUP BY s.id HAVING count(a.id) <> CASE WHEN s.state = 'done' THEN 1 ELSE 0 END""",
    "every done sample has an outcome, no other has": """SELECT id FROM sample WHERE run_id = :run
        AND (state = 'done') <> (outcome IS NOT NULL)""",
    "the outcome is that of the newest verdict": """SELECT s.id FROM sample s WHERE s.run_id = :run AND s.state = 'done'
        AND s.outcome <> coalesce((SELECT v.outcome FROM verdict v WHERE v.sample_id = s.id
                                   ORDER BY v.id DESC LIMIT 1), 'none')""",
    "only leased samples have a lease": """SELECT id FROM sample WHERE run_id = :run
        AND ((state = 'leased') <> (lease_expires > 0))""",
    "a failed sample says why": """SELECT id FROM sample WHERE run_id = :run AND state = 'failed'
        AND error_class IS NULL""",
    "what a phase samples is answered by its model": """SELECT s.id FROM sample s JOIN phase p ON p.id = s.phase_id
        WHERE s.run_id = :run AND s.purpose = 'distil' AND NOT s.superseded AND s.epoch > 0
        AND p.generator IS NOT NULL AND coalesce(s.adapter_id, '') <> p.generator""",
    "a skipped sample says why": """SELECT id FROM sample WHERE run_id = :run AND state = 'skipped' AND reason = ''""",
    "every attempt of a sample that is not leased has ended": """SELECT s.id FROM sample s JOIN attempt a
        ON a.sample_id = s.id WHERE s.run_id = :run AND s.state <> 'leased' AND a.ending = ''""",
}


def verify_run(database: Database, name: str) -> list[Finding]:
    """Check every invariant that the rows can show. Raises NotFound."""
    run = find_run(database, name)
    assert run.id is not None
    findings = [_balance(database, run, purpose) for purpose in Purpose]
    for rule, query in _RULES.items():
        with database.read() as connection:
            broken = [str(row) for row in connection.execute(text(query), {"run": run.id}).scalars()]
        findings.append(_finding(rule, broken))
    findings.append(_finding("ids, fingerprints and seeds derive from their content", list(_wrong_ids(database, run))))
    findings.append(_finding("kernels are what their hashes say", list(_wrong_kernels(database))))
    findings.append(_finding("no sample index is missing below the largest", list(_gaps(database, run))))
    findings.append(_given_up(database, run))
    findings.append(_finding("of answers that are duplicates the best is kept", _misjudged_twins(database, run)))
    return findings


def _finding(name: str, broken: list[str]) -> Finding:
    if not broken:
        return Finding(name, True, "yes")
    shown = ", ".join(broken[:SHOWN]) + (" ..." if len(broken) > SHOWN else "")
    return Finding(name, False, f"{len(broken)}: {shown}", tuple(broken))


def _balance(database: Database, run: Run, purpose: Purpose) -> Finding:
    assert run.id is not None
    balance = Ledger(database).balance(run.id, purpose)
    said = (
        f"planned {balance.planned} = {balance.pending} pending + {balance.leased} leased + {balance.done} done + "
        f"{balance.failed} failed + {balance.skipped} skipped; done = {balance.accepted} accepted + "
        f"{balance.rejected} rejected + {balance.held} held"
    )
    return Finding(f"the {purpose} books balance", balance.adds_up, said)


def _given_up(database: Database, run: Run) -> Finding:
    """Only where a phase's quota gives up; which probes those are is said, for their samples count as skipped."""
    wrong: list[str] = []
    said: list[str] = []
    for phase, probes in _phases_that_gave_up(database, run):
        said.append(f"{phase.name}: {', '.join(probes)}")
        wrong += () if phase.config["quota"]["give_up_below"] > 0 else probes
    name = "probes are given up only where the quota says so"
    return _finding(name, wrong) if wrong else Finding(name, True, "; ".join(said) or "none is")


def _phases_that_gave_up(database: Database, run: Run) -> Iterator[tuple[Phase, tuple[str, ...]]]:
    with database.read() as connection, Session(bind=connection) as session:
        query = select(Phase).where(Phase.run_id == run.id, col(Phase.retired).is_(False)).order_by(col(Phase.position))
        for phase in session.exec(query).all():
            assert phase.id is not None
            probes = given_up_probes(cell_candidates(connection, phase.id))
            if probes:
                yield phase, probes


def _wrong_ids(database: Database, run: Run) -> Iterator[str]:
    """Derive fingerprint, id and seed of every row again from what they are said to name."""
    with database.read() as connection, Session(bind=connection) as session:
        phases = {phase.id: phase.name for phase in session.exec(select(Phase).where(Phase.run_id == run.id))}
        messages = {variant.id: variant.messages for variant in session.exec(select(Variant))}
        for row in session.exec(select(Sample).where(Sample.run_id == run.id)).yield_per(1000):
            if row.superseded:
                continue
            mark = fingerprint(
                run.model_key, row.adapter_id, row.kernel_hash, row.placement, messages[row.variant_id], row.sampling
            )
            scope = EVALUATION if row.purpose == Purpose.EVALUATE else phases[row.phase_id]
            identity = sample_id(run.name, scope, mark, row.sample_index)
            if (mark, identity, sample_seed(row.sampling["seed"], identity)) != (row.fingerprint, row.id, row.seed):
                yield row.id


def _wrong_kernels(database: Database) -> Iterator[str]:
    with database.read() as connection, Session(bind=connection) as session:
        for kernel in session.exec(select(Kernel)):
            if content_hash(kernel.text) != kernel.hash:
                yield kernel.hash


def _misjudged_twins(database: Database, run: Run) -> list[str]:
    assert run.id is not None
    with database.read() as connection:
        return sorted(one.name for one, _ in unsettled(connection, run.id))


def _gaps(database: Database, run: Run) -> Iterator[str]:
    """Every text of a phase has samples 0 to n-1; a limit cuts the last rounds, never leaves a hole."""
    with database.read() as connection:
        rows = connection.execute(
            text(
                """SELECT fingerprint, phase_id, purpose, count(*) AS n, max(sample_index) AS top FROM sample
                   WHERE run_id = :run AND NOT superseded GROUP BY fingerprint, phase_id, purpose"""
            ),
            {"run": run.id},
        ).all()
    for row in rows:
        if row.n != row.top + 1:
            yield f"{row.fingerprint} (phase {row.phase_id}, {row.purpose}: {row.n} rows, highest index {row.top})"
