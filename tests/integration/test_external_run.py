"""A run that mixes its own answers with those of a file, in real processes, and an import that is killed."""

import json
import signal
from collections.abc import Iterable
from pathlib import Path

from tests.farm import write_probes
from tests.ground import Ground
from tests.lemfarm_process import Site

RUN_FILE = """\
run: tiny
model: {engine: simulated, tokens_per_second: 4000, mean_tokens: 100, slots: 4}
sampling: {max_tokens: 1024}
farm: {lease_seconds: 3}
phases:
  - name: only
    probes: [probes.jsonl]
    samples: 1
    gates: [{min_chars: 50}, {duplicates: reject}]
    quota: {accepted: 14}
    external: {share: 0.3, files: [answers.jsonl]}
"""
WORDS = ("Why", "How")
ANSWERS = 2000


def lines(count: int, sentences: int) -> Iterable[str]:
    """Answers to ten probes of two wordings each, no two alike."""
    for number in range(count):
        prompt = f"{WORDS[number // 10 % 2]} {number % 10}?"
        text = " ".join(
            f"In case {number} the point {part} of {number * 7 + part} stands." for part in range(sentences)
        )
        yield json.dumps({"prompt": prompt, "response": text, "model": "big-1", "licence": "cc0-1.0"}) + "\n"


def test_a_run_mixes_its_own_answers_with_those_of_a_file(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        # Given a phase that wants three answers of a file for every seven of its own
        site.run_file.write_text(RUN_FILE)
        (tmp_path / "answers.jsonl").write_text("".join(lines(20, 3)) + '{"prompt": "Whence?", "response": "There."}\n')
        # When it runs
        ran = site.run("run", site.run_file)
        # Then it says what came in and what did not, and how the sides stand
        assert ran.code == 0, ran.err
        assert "20 new (20 accepted), 0 known, 1 without a question, 0 bad" in ran.err
        assert f"{tmp_path / 'answers.jsonl'}:21: its prompt is no wording" in ran.err
        assert "external answers 70/30: 14 own rows and 6 external ones" in ran.out
        # and the dataset has both, its page says so
        exported = site.run("export", "--out", "set", "--json")
        assert exported.code == 0, exported.err
        manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
        rows = [name for side in ("train", "valid", "test") for name in manifest[side]]
        assert len(rows) == 20 and sum(name in manifest["origins"] for name in rows) == 6
        assert manifest["mix"]["only"]["reached"] == 0.3
        page = (tmp_path / "set" / "README.md").read_text()
        assert "answers of this farm, 14 rows; answers.jsonl (big-1, licence cc0-1.0), 6 rows" in page


def test_an_import_that_was_killed_comes_to_the_same_rows(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        # Given an import that is killed once some answers are in
        run_file = RUN_FILE.replace("{duplicates: reject}", "{scorer: v2, at_least: 0.0}").replace(
            "[answers.jsonl]", "[]"
        )
        ground = Ground(tmp_path, f"sqlite:///{site.home.ensure(site.home.root) / 'lemfarm.db'}")
        write_probes(tmp_path / "probes.jsonl", 10)
        ground.plan(run_file)
        (tmp_path / "many.jsonl").write_text("".join(lines(ANSWERS, 20)))
        first = site.start("external", "import", "tiny", "many.jsonl")
        site.wait(lambda: ground.value("SELECT count(*) FROM external_answer"), "some answers are in")
        first.signal(signal.SIGKILL)
        first.ended()
        before = ground.value("SELECT count(*) FROM external_answer")
        # When the same command comes again
        again = site.run("external", "import", "tiny", "many.jsonl", "--json")
        # Then it goes on from there: every line is one row, judged
        assert again.code == 0, again.err
        (imported,) = again.data["imported"]
        assert 0 < before < ANSWERS
        assert (imported["known"], imported["added"]) == (before, ANSWERS - before)
        (counts,) = ground.rows("SELECT count(DISTINCT source) AS lines, count(outcome) AS n FROM external_answer")
        assert dict(counts) == {"lines": ANSWERS, "n": ANSWERS}
        ground.database.close()
