"""Records of the shapes that scoring reads, with texts of our own."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

LONG = "However, I feel the tension between both the baker and the miller. For example, who asked the river?"
PLAIN = "The baker opens the shop at six and sells out by noon on most days."
SHORT = "Yes."


def answered(text: str = LONG, **more: Any) -> dict[str, Any]:
    """A record with a `response`."""
    return {"id": "P1", "domain": "craft", "prompt": "Who asked?", "response": text, **more}


def dialogue(*turns: tuple[str, Any], **more: Any) -> dict[str, Any]:
    """A record with plain `messages`."""
    return {"messages": [{"role": role, "content": content} for role, content in turns], **more}


def phase_raw(text: str = LONG, **meta: Any) -> dict[str, Any]:
    """A line of a distillation's raw file."""
    turns = [{"role": "user", "content": "Who asked?"}, {"role": "assistant", "content": text}]
    return {"type": "training", "training": {"messages": turns}, "meta": {"probe_id": "P1", "lek_score": 20.5, **meta}}


def condition(text: str, score: float | None = None, *, later: bool = True) -> dict[str, Any]:
    """What an A/B record holds of one condition; `later` ones have the count of nuance."""
    counts: dict[str, Any] = {"first_person": 1} | ({"nuance": 2} if later else {})
    return {"response": text, "heuristic": counts} | ({} if score is None else {"lek_score": score})


def ab_record(probe: str, conditions: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """One probe of an A/B file."""
    return {"type": "probe", "id": probe, "category": "craft", "prompt": f"Who asked {probe}?", **more,
            "conditions": conditions}  # fmt: skip


def summary(*conditions: Mapping[str, Any]) -> dict[str, Any]:
    """The last line of an A/B file."""
    return {"type": "summary", "model": "tiny", "total_probes": 2, "conditions": list(conditions)}


def line(record: object) -> bytes:
    """A record as one line of a file."""
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"


def write(path: Path, records: Iterable[object]) -> Path:
    """A JSONL file; `bytes` are written as they stand."""
    path.write_bytes(b"".join(record if isinstance(record, bytes) else line(record) for record in records))
    return path


def read(path: Path) -> list[Any]:
    """The records of a JSONL file."""
    return [json.loads(text) for text in path.read_text(encoding="utf-8").split("\n") if text]
