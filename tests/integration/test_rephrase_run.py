"""Rephrasing through the command line, in real processes: where nothing passes, and where somebody answers well.

The simulated engine rephrases nothing. So the good answers are written here: the command watches with no worker of its
own, and the test claims, answers and records what it has planned, as a worker on another machine would.
"""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import Session, select

from lemfarm import valkey
from lemfarm.database import Database, open_database
from lemfarm.dialogue import Placement
from lemfarm.engines.base import Completion, FinishReason
from lemfarm.ledger import Ledger
from lemfarm.local_workers import living_workers
from lemfarm.probes import read_probes
from lemfarm.records import Probe, Sample, Worker
from lemfarm.rephrasing import Kind
from producer.verify import verify_run
from tests.lemfarm_process import Site
from tests.postgres import postgres, postgres_url  # noqa: F401
from tests.unit.scorers.rephrasing_texts import GOOD, SOURCE
from workers.library import Library
from workers.results import make_result

RUN = "rephrase-out"
MISSING, INTERRUPTED = 3, 130

RUN_FILE = """\
run: tiny
model: {engine: simulated, tokens_per_second: 0, mean_tokens: 60, quality: 0.0, slots: 4}
sampling: {max_tokens: 256}
farm: {lease_seconds: 3}
phases:
  - name: only
    probes: [library.jsonl]
    samples: 1
    quota: {accepted: 1}
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as made:
        made.run_file.write_text(RUN_FILE)
        line = {"id": "P1", "domain": "Health", "prompt": SOURCE}
        (tmp_path / "library.jsonl").write_text(json.dumps(line) + "\n")
        yield made


def _command(site: Site, *words: object) -> tuple[object, ...]:
    files = ("library.jsonl", "--config", site.run_file, "--out", "out.jsonl", "--samples", 2)
    return ("probes", "rephrase", *files, *words)


class Hand:
    """A worker that is a person: answers planned samples in the database of a farm."""

    def __init__(self, site: Site, database: Database) -> None:
        self.database, self.library = database, Library(database, site.home)
        with database.session() as session:
            session.add(
                Worker(id="hand", name="hand", host="h", pid=1, boot_id="b", home_id="h", lemfarm_version="0", slots=1)
            )

    def answer(self, kind: Kind) -> None:
        """Give the first sample of a kind its good answer: scored, judged, stored."""
        ledger = Ledger(self.database)
        claim = ledger.claim(self._first(kind), "hand", 1000.0)
        assert claim is not None
        wording = self.library.wording(claim.variant_id)
        completion = Completion(GOOD[kind], FinishReason.STOP, token_ids=(1, 2), placement=Placement.NONE)
        assert ledger.record(make_result(claim, "hand", wording, completion, self.library.rules(claim.phase_id)))

    def _first(self, kind: Kind) -> str:
        query = select(Sample.id).join(Probe).where(Probe.domain == kind, Sample.sample_index == 0)
        with self.database.read() as connection, Session(bind=connection) as session:
            return session.exec(query).one()


def test_where_nothing_passes_it_says_so_and_the_same_command_makes_nothing_twice(site: Site) -> None:
    # Given a model that writes about other things
    first = site.run(*_command(site))
    # Then the command ends as starved, names each pair with the reason, and writes the sources
    assert first.code == MISSING, first.err
    for kind in Kind:
        assert f"none  P1 {kind}: 2 of 2: another subject" in first.err
    assert "0 new wordings to review, 3 missing" in first.out
    assert read_probes([site.folder / "out.jsonl"]) == read_probes([site.folder / "library.jsonl"])
    assert site.count("state = 'done' AND outcome = 'rejected'") == 6
    before = site.rows("SELECT * FROM sample ORDER BY id")
    # When the same command is given again, then nothing is generated
    again = site.run(*_command(site), "--json")
    assert (again.code, "nothing is left to do" in again.err) == (MISSING, True)
    assert {one["answers"] for one in again.data["missing"]} == {2}
    assert site.rows("SELECT * FROM sample ORDER BY id") == before
    # and nothing of it is left running
    assert living_workers(site.home) == []
    assert not valkey.is_running(site.home)


def test_good_answers_end_in_the_file_though_the_command_was_interrupted(site: Site) -> None:
    # Given a command of whose three pairs one is answered
    first = site.start(*_command(site, "--workers", 0))
    site.wait(lambda: "6 samples planned" in first.said, "the command to plan")
    database = open_database(f"sqlite:///{site.home.database}")
    hand = Hand(site, database)
    hand.answer(Kind.URGENCY)
    # When a person presses Ctrl-C, then it ends with 130, and no file is there yet
    first.signal(signal.SIGINT)
    assert first.ended() == INTERRUPTED
    assert not (site.folder / "out.jsonl").exists()
    # When the same command goes on, and the others are answered too
    second = site.start(*_command(site, "--workers", 0))
    site.wait(lambda: "going on" in second.said, "the command to go on")
    hand.answer(Kind.PERSPECTIVE)
    hand.answer(Kind.CULTURE)
    # Then it ends well, the file has all three, and what was not needed was never made
    assert second.ended() == 0, site.story()
    assert "3 new wordings to review, 0 missing" in second.said
    (probe,) = read_probes([site.folder / "out.jsonl"])
    assert {variant.kind: variant.messages[0].content for variant in probe.variants[1:]} == GOOD
    assert (site.count("state = 'done'"), site.count("state = 'skipped'")) == (3, 3)
    assert [finding for finding in verify_run(database, RUN) if not finding.holds] == []
    database.close()


def test_the_same_on_postgresql(site: Site, postgres_url: str) -> None:  # noqa: F811
    command = site.start(*_command(site, "--workers", 0, "--kind", "culture", "--database", postgres_url))
    site.wait(lambda: "2 samples planned" in command.said, "the command to plan")
    database = open_database(postgres_url)
    Hand(site, database).answer(Kind.CULTURE)
    assert command.ended() == 0, site.story()
    (probe,) = read_probes([site.folder / "out.jsonl"])
    assert probe.variants[1].messages[0].content == GOOD[Kind.CULTURE]
    assert probe.fields["rephrased"][0]["signals"]["framed"] == 0.0
    database.close()
