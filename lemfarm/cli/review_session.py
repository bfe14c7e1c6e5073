"""A reviewer at work: one answer after another, each decision stored before the next is shown."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from lemfarm.cli.review_keys import ask, ask_note, edit
from lemfarm.cli.review_screen import KEYS, MORE, decided_line, keys_line, show_answer, show_sheet
from lemfarm.cli.shared import counted, plain
from lemfarm.curation.review import Consensus, consensus
from lemfarm.curation.review_queue import Mode
from lemfarm.errors import InputError
from lemfarm.records import ReviewDecision
from producer.review_sheet import read_sheet
from producer.reviewing import Decision, decide, take_back

if TYPE_CHECKING:
    from lemfarm.curation.review_queue import Waiting
    from lemfarm.database import Database
    from producer.review_sheet import Sheet
    from producer.reviewing import Decided

_DECISIONS = {key: ReviewDecision(KEYS[key]) for key in "ares"}


@dataclass
class Session:
    """Goes through a queue for one reviewer. A second opinion is given blind; words that settle count alone."""

    database: "Database"
    console: Console
    run_id: int
    reviewer: str
    queue: "Sequence[Waiting]"
    mode: Mode
    decided: int = 0
    _place: int = 0
    _note: str = ""

    def go(self) -> None:
        """Until the queue, the input or the reviewer ends it. Raises KeyboardInterrupt, DatabaseDown."""
        while self._place < len(self.queue):
            sheet = read_sheet(self.database, self.queue[self._place])
            if self._was_decided(sheet):
                self._place += 1
                continue
            cut = show_sheet(self.console, self._for_eyes(sheet), self._place + 1, len(self.queue))
            try:
                if not self._one(sheet, cut):
                    break
            except EOFError:
                break
        self.console.print(self._summary())

    def _was_decided(self, sheet: "Sheet") -> bool:
        """By somebody else, since the queue was read."""
        return self.mode == Mode.FIRST and consensus(sheet.words) in (Consensus.KEEP, Consensus.DROP)

    def _for_eyes(self, sheet: "Sheet") -> "Sheet":
        return replace(sheet, words=(), verdict="", reason="") if self.mode == Mode.SECOND else sheet

    def _one(self, sheet: "Sheet", cut: bool) -> bool:
        """Until something is decided on an answer; False: the reviewer has enough."""
        place = self._place
        while self._place == place:
            self.console.print(keys_line(cut=cut, note=self._note), end="")
            key, behind = ask(self._write, KEYS | ({MORE: "more"} if cut else {}))
            self._note = behind or self._note
            if key == "q":
                return False
            if key == "u":
                return self._undo()
            self._act(key, sheet)
        return True

    def _act(self, key: str, sheet: "Sheet") -> None:
        if key == MORE:
            show_answer(self.console, sheet)
        elif key == "n":
            self._note = self._note or ask_note(self._write)
        else:
            self._decide(_DECISIONS[key], sheet)

    def _decide(self, decision: ReviewDecision, sheet: "Sheet") -> None:
        """An edit that went wrong leaves the answer where it is."""
        try:
            content = edit(sheet.answer, os.environ) if decision == ReviewDecision.EDIT else None
            if decision == ReviewDecision.REJECT and not self._note:
                self._note = ask_note(self._write)
            said = Decision(sheet.sample_id, sheet.text_id, self.reviewer, decision, self._note, content)
            self._tell(decide(self.database, replace(said, settles=self.mode == Mode.SETTLE)))
        except InputError as error:
            self.console.print(Text(f"  {plain(str(error))}", style="yellow"))
            return
        self.decided += 1
        self._note = ""
        self._place += 1

    def _undo(self) -> bool:
        taken = take_back(self.database, self.run_id, self.reviewer)
        if taken is None:
            self.console.print(Text("  nothing of yours is left to take back", style="yellow"))
            return True
        self._tell(taken, undone=True)
        places = [number for number, one in enumerate(self.queue) if one.sample_id == taken.sample_id]
        if places:
            self._place = places[0]
            self.decided = max(0, self.decided - 1)
        return True

    def _tell(self, decided: "Decided", *, undone: bool = False) -> None:
        if decided.decision != ReviewDecision.SKIP or undone:
            self.console.print(decided_line(decided, undone=undone))
        for note in decided.notes:
            self.console.print(Text(f"  {note}", style="yellow"))
        if decided.woken:
            self.console.print(Text("  that was the last one needed: the run goes on", style="bold green"))

    def _summary(self) -> Text:
        left = len(self.queue) - self._place
        rest = f"; {counted(left, 'answer')} of this queue left" if left else "; that was the whole queue"
        return Text(f"{counted(self.decided, 'decision')} by {plain(self.reviewer)}{rest}", style="bold")

    def _write(self, text: str) -> None:
        self.console.print(Text(text), end="")
