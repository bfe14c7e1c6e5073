"""Reviews in other tools: answers go out as a file, and the decisions in it come back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lemfarm.curation.review_files import AnswerToReview, Format, FoundDecision, read_decisions, written
from lemfarm.curation.review_queue import Mode, ReviewedPhase, Waiting, read_queue
from lemfarm.database import Database, prepared
from lemfarm.errors import InputError
from lemfarm.output_files import check_output, whole_file
from lemfarm.records import ReviewDecision
from lemfarm.text_files import storable
from producer.review_sheet import read_sheet
from producer.reviewing import Decided, Decision, decide


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file of decisions: `added` were new, `known` had been read before. `problems`: what could not be
    taken, as `file:line: why`. `decided`: how the answers stand now."""

    file: str
    added: int
    known: int
    problems: tuple[str, ...]
    decided: tuple[Decided, ...]


def export_answers(
    database: Database, run: str, phases: Sequence[ReviewedPhase], path: Path, wanted: Format, mode: Mode
) -> int:
    """Write the answers of a queue to a file; returns how many. Raises InputError, NoSpace, DatabaseDown."""
    check_output(path, ())
    queue = read_queue(database, phases, "", mode)
    with whole_file(path) as write:
        for piece in written(_answers(database, run, queue), wanted):
            write(piece)
    return len(queue)


def import_decisions(database: Database, run_id: int, path: Path, reviewer: str) -> Imported:
    """Read decisions back; the same file again changes nothing, also where one was taken back since. `reviewer` stands
    for those that the file does not name. Raises InputError for a file that cannot be read, DatabaseDown."""
    found, problems = read_decisions(path)
    source, known, decided = path.name, 0, []
    for one in found:
        try:
            decision = _decision(database, run_id, one, reviewer, source)
            if _is_known(database, decision):
                known += 1
            else:
                decided.append(decide(database, decision))
        except InputError as error:
            problems.append(f"{one.place}: {error}")
    return Imported(str(path), len(decided), known, tuple(problems), tuple(decided))


def _answers(database: Database, run: str, queue: Sequence[Waiting]) -> Iterator[AnswerToReview]:
    for waiting in queue:
        sheet = read_sheet(database, waiting)
        scores = {score.scorer: score.value for score in sheet.scores}
        ids = (sheet.sample_id, sheet.text_id, run, sheet.phase, sheet.label)
        yield AnswerToReview(*ids, sheet.messages, sheet.answer, scores)


def _decision(database: Database, run_id: int, found: FoundDecision, reviewer: str, source: str) -> Decision:
    """Raises InputError for a sample or text that the run does not have."""
    with database.read() as connection:
        texts = connection.execute(prepared(_TEXTS), {"sample": found.sample_id, "run": run_id}).scalars().all()
    if not texts:
        raise InputError(f"the run has no answer of a sample {found.sample_id}")
    if found.text_id is not None and found.text_id not in texts:
        raise InputError(f"sample {found.sample_id} has no text {found.text_id}")
    return Decision(
        sample_id=found.sample_id,
        text_id=found.text_id or texts[-1],
        reviewer=storable(found.reviewer or reviewer),
        decision=found.decision,
        note=storable(found.note),
        content=found.content,
        source=source,
    )


def _is_known(database: Database, decision: Decision) -> bool:
    """An edit is the same when its text is."""
    values = {"sample": decision.sample_id, "reviewer": decision.reviewer, "note": decision.note}
    with database.read() as connection:
        rows = connection.execute(prepared(_SAID), values).all()
    if decision.decision != ReviewDecision.EDIT:
        return any(row.decision == decision.decision and row.text_id == decision.text_id for row in rows)
    content = storable(decision.content or "").strip()
    return any(row.decision == ReviewDecision.EDIT and (row.content or "").strip() == content for row in rows)


_TEXTS = """SELECT t.id FROM text t JOIN sample s ON s.id = t.sample_id
    WHERE s.id = :sample AND s.run_id = :run ORDER BY t.revision"""
_SAID = """SELECT r.decision, r.text_id, t.content FROM review r LEFT JOIN text t ON t.id = r.edited_text_id
    WHERE r.sample_id = :sample AND r.reviewer = :reviewer AND r.note = :note"""
