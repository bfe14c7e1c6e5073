"""`lemfarm review` as a person types it: through a pipe, on a terminal, and its neighbours."""

import io
import json
import os
import pty
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from rich.console import Console

from lemfarm.cli import review_session
from lemfarm.cli.review_screen import shown
from lemfarm.cli.review_session import Session
from lemfarm.curation.review_queue import Mode, read_queue, reviewed_phases
from tests.command import Ran, lemfarm
from tests.ground import RUN_FILE, Ground

WAITS = RUN_FILE + "    review: {share: 1.0, before_training: true}\n"
Type = Callable[..., Ran]


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """Four answers wait for review, in the farm of `folder / home`."""
    made = Ground(tmp_path, f"sqlite:///{tmp_path / 'home' / 'farm.db'}")
    made.plan(WAITS)
    made.finish(made.ids(limit=4))
    yield made
    made.database.close()


@pytest.fixture
def type_(ground: Ground, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Type:
    def run(keys: str, *arguments: object) -> Ran:
        monkeypatch.setattr(sys, "stdin", io.StringIO(keys))
        url = f"sqlite:///{ground.folder / 'home' / 'farm.db'}"
        return lemfarm(capsys, "review", *arguments, "--database", url)

    return run


class Screen(io.StringIO):
    """A terminal's screen, and somebody who types when they are asked."""

    def __init__(self, keyboard: int, answers: Mapping[str, bytes]) -> None:
        super().__init__()
        self.keyboard, self.answers = keyboard, answers

    def write(self, text: str) -> int:
        for asked, typed in self.answers.items():
            if asked in text:
                os.write(self.keyboard, typed)
        return super().write(text)


def outcomes(ground: Ground) -> list[str]:
    rows = ground.rows(
        """SELECT s.outcome FROM sample s JOIN probe p ON p.id = s.probe_id JOIN variant v ON v.id = s.variant_id
           WHERE s.state = 'done' ORDER BY s.sample_index, p.name, v.position"""
    )
    return [row["outcome"] for row in rows]


def test_each_line_of_a_pipe_is_a_decision_and_its_end_ends_the_review(ground: Ground, type_: Type) -> None:
    ran = type_("a\nr too dull\n", "--reviewer", "ann")
    assert (ran.code, outcomes(ground)) == (0, ["accepted", "rejected", "held", "held"])
    assert "1 of 4  P0 v0 #0  first" in ran.out and "What is 0?" in ran.out
    assert "An answer of more than twenty characters." in ran.out
    assert "rejected by ann: too dull" in ran.out
    assert ran.out.rstrip().endswith("2 decisions by ann; 2 answers of this queue left")


def test_undo_goes_back_to_the_answer(ground: Ground, type_: Type) -> None:
    ran = type_("r\nu\na\nq\n", "--reviewer", "ann")
    assert outcomes(ground) == ["accepted", "held", "held", "held"]
    assert "taken back: held" in ran.out and ran.out.count("1 of 4") == 2


def test_a_note_may_come_first_and_an_unknown_key_is_told(ground: Ground, type_: Type) -> None:
    ran = type_("x\nn lively\na\n", "--reviewer", "ann")
    assert "'x' is none of a, r, e, s, n, u, q" in ran.out and "note: lively" in ran.out
    assert ground.value("SELECT note FROM review") == "lively"


def test_an_answer_is_edited_in_the_reviewers_editor(
    ground: Ground, type_: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = ground.folder / "editor.sh"
    script.write_text("#!/bin/sh\nprintf 'Rewritten, with more than twenty characters.' > \"$1\"\n")
    script.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(script))
    type_("e\n", "--reviewer", "ann")
    assert ground.value("SELECT content FROM text WHERE revision = 1") == "Rewritten, with more than twenty characters."
    assert outcomes(ground)[0] == "accepted"


@pytest.mark.parametrize(("editor", "said"), [("no-such-editor", "cannot be started"), ("false", "ended with 1")])
def test_an_editor_that_fails_changes_nothing(
    ground: Ground, type_: Type, monkeypatch: pytest.MonkeyPatch, editor: str, said: str
) -> None:
    monkeypatch.setenv("VISUAL", editor)
    ran = type_("e\nq\n")
    assert said in ran.out and ran.code == 0
    assert outcomes(ground) == ["held"] * 4


def test_nothing_to_do_is_said_in_every_mode(ground: Ground, type_: Type) -> None:
    assert "nobody else has decided" in type_("", "--second").out
    assert "no two reviewers disagree" in type_("", "--settle").out
    type_("a\n" * 4)
    assert "nothing waits for review" in type_("").out
    ground.plan(RUN_FILE)
    assert "none of its answers is to be reviewed" in type_("").out


def test_a_second_reviewer_is_not_told_the_first_word_and_agreement_follows(ground: Ground, type_: Type) -> None:
    type_("a good\nr bad\n", "--reviewer", "ann")
    ran = type_("a\na\n", "--reviewer", "bob", "--second")
    assert "good" not in ran.out.replace("good_", "") and "2 of 2" in ran.out
    (pair,) = type_("", "agreement", "--json").data["pairs"]
    assert (pair["first"], pair["second"], pair["answers"], pair["agreed"], pair["kappa"]) == ("ann", "bob", 2, 1, 0.0)
    assert "ann, bob" in type_("", "agreement").out
    settled = type_("r no\n", "--reviewer", "eve", "--settle")
    assert "ann: reject, bad" in settled.out and "bob: accept" in settled.out


def test_json_lists_what_waits(ground: Ground, type_: Type) -> None:
    found = type_("", "--json", "--reviewer", "ann", "--phase", "first").data
    assert (found["kind"], found["run"], found["reviewer"], len(found["waiting"])) == ("review", "tiny", "ann", 4)
    assert found["waiting"][0]["label"] == "P0 v0 #0" and found["waiting"][0]["held"] is True


def test_a_file_goes_out_and_comes_back(ground: Ground, type_: Type) -> None:
    out = ground.folder / "out.jsonl"
    assert type_("", "export", "--out", out).out == f"4 answers of run tiny written to {out}\n"
    lines = [json.loads(line) | {"decision": "accept"} for line in out.read_text().splitlines()]
    lines[3]["sample_id"] = "nobody"
    out.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ran = type_("", "import", "tiny", out, "--reviewer", "ann")
    assert (ran.code, ran.out) == (1, "3 decisions taken, 0 known already\n")
    assert f"problem {out}:4: the run has no answer of a sample nobody" in ran.err
    assert type_("", "import", "tiny", out, "--reviewer", "ann").out == "0 decisions taken, 3 known already\n"


BAD = [
    (("--phase", "third"), "run tiny has no phase 'third'"),
    (("--second", "--settle"), "choose one"),
    (("--reviewer", " "), "nobody is named: say who decides with --reviewer NAME"),
    (("export", "--format", "xml", "--out", "out"), "there is no format 'xml'"),
    (("import", "tiny", "none.json"), "none.json cannot be read"),
    (("import", "other", "none.json"), "there is no run 'other'"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD)
def test_bad_input_is_refused_in_words(type_: Type, arguments: tuple[str, ...], said: str) -> None:
    ran = type_("", *arguments)
    assert ran.code == 2 and said in ran.err


def test_on_a_terminal_one_press_decides_and_a_long_answer_is_cut(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a terminal of 24 lines, and an answer of a hundred
    ground.finish(ground.ids()[:1], "line of an answer\n" * 100)
    _name, phases = reviewed_phases(ground.database, None)
    queue = read_queue(ground.database, phases, "ann")[-1:]
    master, slave = pty.openpty()
    screen = Screen(master, {"quit": b"r", "note (Enter": b"dull\n"})
    console = Console(file=screen, force_terminal=True, width=80, height=24)
    with os.fdopen(slave, "r") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        # When a key is pressed, and a note typed
        Session(ground.database, console, ground.run_id, "ann", queue, Mode.FIRST).go()
    os.close(master)
    # Then it is decided
    assert "more lines; m shows all" in screen.getvalue()
    assert ground.value("SELECT decision || note FROM review") == "rejectdull"


def test_an_answer_that_somebody_decided_on_meanwhile_is_passed_over(
    ground: Ground, type_: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    _name, phases = reviewed_phases(ground.database, None)
    queue = read_queue(ground.database, phases, "ann")
    type_("a\na\n", "--reviewer", "bob")
    monkeypatch.setattr(sys, "stdin", io.StringIO("r\n"))
    screen = io.StringIO()
    Session(ground.database, Console(file=screen), ground.run_id, "ann", queue, Mode.FIRST).go()
    assert outcomes(ground) == ["accepted", "accepted", "rejected", "held"]


def test_a_text_cannot_steer_the_terminal_and_keeps_its_places() -> None:
    assert shown("a\x1b[2Jb\tc\nd") == "a·[2Jb c\nd"


def test_ctrl_c_keeps_what_was_decided(ground: Ground, type_: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = iter([("a", "")])

    def ask(*_: object) -> tuple[str, str]:
        for key in keys:
            return key
        raise KeyboardInterrupt

    monkeypatch.setattr(review_session, "ask", ask)
    assert type_("").code == 130
    assert outcomes(ground) == ["accepted", "held", "held", "held"]
