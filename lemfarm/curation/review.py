"""What people say of answers, and what follows from it. Pure: nothing is read or written.

Which answers a person looks at is decided by a hash of the sample's id, so that everybody has the same ones and a
larger share keeps those of a smaller. The newest word of each reviewer counts; the majority decides, and where there
is none the answer waits. A review takes answers out that the gates accept, and never lets one in that they reject.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lemfarm.config import ReviewConfig
from lemfarm.gates import Outcome, Verdict
from lemfarm.records import WAITS_FOR_REVIEW, ReviewDecision

_SAMPLED = "review"
_ALL = 1 << 64


@dataclass(frozen=True, slots=True)
class Word:
    """What one reviewer said of one answer, and of which text of it. `settles`: it counts alone."""

    sample_id: str
    text_id: int
    reviewer: str
    decision: ReviewDecision
    note: str = ""
    settles: bool = False
    edited_text_id: int | None = None

    @property
    def keeps(self) -> bool:
        """It lets the answer train, as it is or rewritten."""
        return self.decision in (ReviewDecision.ACCEPT, ReviewDecision.EDIT)


class Consensus(StrEnum):
    """Where the reviewers of an answer stand."""

    UNSEEN = "unseen"  #: nobody has said anything but `skip`
    KEEP = "keep"
    DROP = "drop"
    SPLIT = "split"  #: as many for it as against it


def in_sample(sample_id: str, share: float) -> bool:
    """Whether a sample is among the share (0 to 1) that people look at."""
    digest = hashlib.blake2b(f"{_SAMPLED} {sample_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) < share * _ALL


def standing_words(words: Iterable[Word]) -> list[Word]:
    """The words that count, of those said of one answer in their order: the newest of each reviewer, without skips.
    From the last one that settles on, that one alone."""
    newest: dict[str, Word] = {}
    for word in words:
        newest.pop(word.reviewer, None)
        newest[word.reviewer] = word
    counting = [word for word in newest.values() if word.decision != ReviewDecision.SKIP]
    settled = [word for word in counting if word.settles]
    return settled[-1:] or counting


def consensus(words: Iterable[Word]) -> Consensus:
    """What the words said of one answer come to, in their order."""
    counting = standing_words(words)
    if not counting:
        return Consensus.UNSEEN
    keeping = sum(word.keeps for word in counting)
    if 2 * keeping == len(counting):
        return Consensus.SPLIT
    return Consensus.KEEP if 2 * keeping > len(counting) else Consensus.DROP


def with_review(verdict: Verdict, sample_id: str, config: ReviewConfig, words: Sequence[Word] = ()) -> Verdict:
    """What the gates say of an answer, and then the people who looked at it."""
    if verdict.outcome == Outcome.REJECTED:
        return verdict
    found, counting = consensus(words), standing_words(words)
    if found == Consensus.DROP:
        return Verdict(Outcome.REJECTED, _rejected(counting))
    if verdict.outcome == Outcome.HELD:
        return verdict
    if found == Consensus.SPLIT:
        return Verdict(Outcome.HELD, f"{WAITS_FOR_REVIEW}: reviewers disagree ({_said(counting)})")
    if found == Consensus.KEEP:
        return Verdict(Outcome.ACCEPTED, f"reviewed: {_said(counting)}")
    if config.before_training and in_sample(sample_id, config.share):
        return Verdict(Outcome.HELD, WAITS_FOR_REVIEW)
    return verdict


def _rejected(words: Sequence[Word]) -> str:
    against = [word for word in words if not word.keeps]
    note = next((word.note for word in reversed(against) if word.note), "")
    names = ", ".join(word.reviewer for word in against)
    return f"rejected by {names}" + (f": {note}" if note else "")


def _said(words: Sequence[Word]) -> str:
    return ", ".join(f"{word.reviewer} {_PAST[word.decision]}" for word in words)


_PAST = {ReviewDecision.ACCEPT: "accepted", ReviewDecision.EDIT: "edited", ReviewDecision.REJECT: "rejected"}
