"""Tells people: takes on the notices of its home, one after the other, and runs the command that the run names.

Every watcher has one, with or without its turn: a notice waits for a process of the run's home, and the turn may be
another machine's. A command that fails is logged and noted; it never stops a run.
"""

import time
from dataclasses import dataclass

import structlog

from lemfarm.database import Database
from lemfarm.errors import LemfarmError
from lemfarm.home import Home
from lemfarm.notices import ClaimedNotice, claim_notice, note_outcome
from producer.telling import LONGEST_SECONDS, Outcome, Telling

log = structlog.get_logger()
_LOOK_SECONDS = 0.05
_UNWANTED = "no command"


@dataclass
class Messenger:
    """One of a process; `look` is called again and again, and does not wait for the command."""

    database: Database
    home: Home
    seconds: float = LONGEST_SECONDS  #: that a command may take
    _home_id: str = ""
    _notice: ClaimedNotice | None = None
    _telling: Telling | None = None

    def look(self) -> bool:
        """End what has ended, begin what waits; whether something is under way. Never raises."""
        try:
            return self._look()
        except LemfarmError as error:
            log.warning("notices will be looked at again", error=str(error))
        except Exception:
            log.exception("the messenger met an unexpected error")
        return False

    def finish(self, seconds: float) -> None:
        """Tell what waits and see it through, for so many seconds at most; a command that takes longer goes on."""
        deadline = time.monotonic() + seconds
        while self.look() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)

    def _look(self) -> bool:
        if self._telling is not None:
            outcome = self._telling.poll()
            if outcome is None:
                return True
            self._telling = None
            self._note(outcome)
        return self._begin()

    def _begin(self) -> bool:
        self._home_id = self._home_id or self.home.identity
        self._notice = claim_notice(self.database, self._home_id)
        if self._notice is None:
            return False
        if self._notice.command is None:
            note_outcome(self.database, self._notice.id, _UNWANTED)
        else:
            self._telling = Telling(self._notice.command, self._notice.message, self.seconds)
        return True

    def _note(self, outcome: Outcome) -> None:
        assert self._notice is not None
        about = {"run": self._notice.message.run, "about": self._notice.message.kind}
        if outcome.good:
            log.info("a person was told", **about)
        else:
            log.warning("a person could not be told", **about, outcome=outcome.text)
        note_outcome(self.database, self._notice.id, outcome.text)
