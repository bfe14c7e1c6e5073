"""What an import carries from its files to its report: wordings, and the probes that they are gathered into."""

from dataclasses import dataclass, field
from typing import Any

from lemfarm.dialogue import Message
from lemfarm.probes import ORIGINAL


@dataclass(slots=True, eq=False)
class Wording:
    """One text of an entry. `source` is the id of the probe that it says it is a wording of, `parent` the entry that
    holds it as a variant; without either it is a probe's own text. `key` is equal for texts that are the same."""

    place: str
    messages: tuple[Message, ...]
    key: str
    id: str | None
    domain: str | None
    fields: dict[str, Any]
    kind: str = ORIGINAL
    source: str | None = None
    voiced: bool = False
    parent: "Wording | None" = None
    file: int = 0
    order: int = 0
    draft: "Draft | None" = field(default=None, repr=False)

    @property
    def own(self) -> bool:
        """Whether it is the text of a probe, not a wording of another."""
        return self.source is None and self.parent is None

    @property
    def text(self) -> str:
        """All that is said, for measuring and comparing."""
        return "\n".join(message.content for message in self.messages)


@dataclass(slots=True, eq=False)
class Draft:
    """A probe in the making. `stands_in` says that its own text was in no file and a wording of it took its place."""

    original: Wording
    variants: list[Wording] = field(default_factory=list)
    stands_in: bool = False
    id: str = ""

    @property
    def wordings(self) -> list[Wording]:
        """All its texts, the original first."""
        return [self.original, *self.variants]

    @property
    def given_id(self) -> str | None:
        """The id it had in its file."""
        return self.original.source if self.stands_in else self.original.id
