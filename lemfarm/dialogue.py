"""The words of a dialogue, shared by probes, prompts and engines."""

from dataclasses import dataclass
from enum import StrEnum


class Placement(StrEnum):
    """Where the kernel goes."""

    SYSTEM = "system"  #: a system message; before the user message where the template refuses one
    USER = "user"  #: before the first user message, with a blank line between
    NONE = "none"  #: nowhere


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a dialogue; `role` is system, user or assistant."""

    role: str
    content: str
