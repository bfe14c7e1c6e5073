"""What one answer of an endpoint came to, gathered from the pieces of its stream, none of which is trusted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from lemfarm.engines.base import FinishReason

_KEYS_OF_REPORT = ("id", "model", "provider", "created", "system_fingerprint", "service_tier")
_FINISH = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}


@dataclass(slots=True)
class Reply:
    """What one answer came to, gathered from its pieces. Times are readings of `perf_counter`."""

    started: float = field(default_factory=perf_counter)
    first_token: float = 0.0
    ended: float = 0.0
    text: str = ""
    thoughts: str = ""
    finish: str = ""
    pieces: int = 0
    report: dict[str, Any] = field(default_factory=dict)
    usage: Mapping[str, Any] = field(default_factory=dict)

    @property
    def finish_reason(self) -> FinishReason:
        """Why it ended, in the farm's words."""
        return _FINISH.get(self.finish, FinishReason.OTHER)

    @property
    def prompt_tokens(self) -> int:
        """As the endpoint counts; 0 where it does not say."""
        return whole_number(self.usage.get("prompt_tokens")) or 0

    @property
    def cached_tokens(self) -> int:
        """How many of the prompt's tokens the endpoint had kept; 0 where it does not say."""
        details = self.usage.get("prompt_tokens_details")
        cached = whole_number(details.get("cached_tokens")) if isinstance(details, Mapping) else None
        return min(cached or 0, self.prompt_tokens)

    @property
    def counted(self) -> int | None:
        """The answer's tokens as the endpoint counts them; none where it does not, or where the figure is nonsense."""
        counted = whole_number(self.usage.get("completion_tokens"))
        return None if counted == 0 and self.pieces else counted

    @property
    def completion_tokens(self) -> int:
        """As counted by the endpoint, else the pieces that came: endpoints send about one for each token."""
        return self.pieces if self.counted is None else self.counted

    def take(self, piece: Mapping[str, Any]) -> None:
        """Add one piece of the stream; what has an unexpected form is left out."""
        self.report |= {key: piece[key] for key in _KEYS_OF_REPORT if piece.get(key) is not None}
        if isinstance(piece.get("usage"), Mapping):
            self.usage = piece["usage"]
        choices = piece.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
            return
        self.finish = str(choices[0].get("finish_reason") or self.finish)
        delta = choices[0].get("delta")
        if isinstance(delta, Mapping):
            self._add(_text(delta, "content"), _text(delta, "reasoning_content") or _text(delta, "reasoning"))

    def _add(self, text: str, thoughts: str) -> None:
        if not text and not thoughts:
            return
        self.first_token = self.first_token or perf_counter()
        self.pieces += 1
        self.text += text
        self.thoughts += thoughts


def _text(delta: Mapping[str, Any], key: str) -> str:
    found = delta.get(key)
    return found if isinstance(found, str) else ""


def whole_number(value: object) -> int | None:
    """A count that can be one: a whole number from 0; else none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
