"""Which question of a phase an answer from elsewhere is to: by the very words of its prompt, or by the probe's id."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lemfarm.curation.external_files import FoundAnswer
from lemfarm.dialogue import Message
from lemfarm.errors import InputError


@dataclass(frozen=True, slots=True)
class Question:
    """One wording that a phase asks; `probe` is the probe's name, `probe_id` and `variant_id` are those of its rows,
    `fields` its free fields."""

    variant_id: str
    probe_id: str
    probe: str
    position: int
    turns: tuple[Message, ...]
    fields: Mapping[str, Any] = field(default_factory=dict)


class Questions:
    """The questions of a phase, to be found by what an answer says of its own."""

    def __init__(self, questions: Iterable[Question]) -> None:
        self._by_turns: dict[tuple[tuple[str, str], ...], list[Question]] = {}
        self._by_place: dict[tuple[str, int], list[Question]] = {}
        self._probes: set[str] = set()
        for one in questions:
            self._by_turns.setdefault(_key(one.turns), []).append(one)
            self._by_place.setdefault((one.probe, one.position), []).append(one)
            self._probes.add(one.probe)

    def has(self, answer: FoundAnswer) -> bool:
        """Whether an answer is to one of them."""
        try:
            self.find(answer)
        except InputError:
            return False
        return True

    def find(self, answer: FoundAnswer) -> Question:
        """The question of an answer; the prompt decides wherever one is told, for an id may mean another text
        elsewhere. Raises InputError saying why there is none."""
        if answer.turns:
            found = self._by_turns.get(_key(answer.turns), [])
            named = [one for one in found if one.probe == answer.probe]
            if not found:
                raise InputError("its prompt is no wording that this phase asks")
            return (named or found)[0]
        if not answer.probe:
            raise InputError("it says neither a prompt nor the `id` of a probe")
        if answer.probe not in self._probes:
            raise InputError(f"this phase does not train on a probe {answer.probe!r}")
        found = self._by_place.get((answer.probe, answer.variant), [])
        if len(found) != 1:
            several = "has no wording" if not found else "has several wordings"
            raise InputError(f"probe {answer.probe} {several} {answer.variant} here; give its prompt")
        return found[0]


def _key(turns: Iterable[Message]) -> tuple[tuple[str, str], ...]:
    """White space around a turn makes no other question, nor does a system prompt."""
    return tuple((turn.role, turn.content.strip()) for turn in turns if turn.role != "system")
