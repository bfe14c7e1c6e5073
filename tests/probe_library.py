"""Probes with nothing wrong, and libraries of them, made in memory or written to files."""

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from lemfarm.dialogue import Message
from lemfarm.library.reading import Held, Library
from lemfarm.probes import ORIGINAL, Probe, Variant

_SYLLABLES = [first + vowel + last for first in "bdfgklmnprstv" for vowel in "aeiou" for last in "lnrs"]


def prose(seed: object, words: int = 60) -> str:
    """A text of so many made-up words; two seeds have hardly a run of words in common."""
    chance = Random(str(seed))
    return " ".join("".join(chance.choices(_SYLLABLES, k=2)) for _ in range(words)) + "?"


def probe(name: str, *texts: str, domain: str = "Water", **fields: Any) -> Probe:
    """A probe of these wordings; of none, an original and two rephrasings written anew."""
    given = texts or tuple(prose((name, number)) for number in range(3))
    variants = tuple(
        Variant(position, f"kind{position}" if position else ORIGINAL, (Message("user", text),))
        for position, text in enumerate(given)
    )
    return Probe(name, domain, variants, fields)


def held(name: str, *texts: str, line: int = 1, phase: str = "1", **fields: Any) -> Held:
    """The same where it stands in a library."""
    return Held(probe(name, *texts, **fields), f"probes.jsonl:{line}", phase)


def library(*members: Held) -> Library:
    """A library whose probes stand on lines of their own."""
    return Library(tuple(Held(one.probe, f"probes.jsonl:{line}", one.phase) for line, one in enumerate(members, 1)))


def line(name: str, *texts: str, **fields: Any) -> dict[str, Any]:
    """A probe as its file has it."""
    made = probe(name, *texts)
    wordings = [{"kind": one.kind, "prompt": one.messages[0].content} for one in made.variants[1:]]
    prompt = made.variants[0].messages[0].content
    return {"id": name, "domain": "Water", "prompt": prompt, "variants": wordings, **fields}


def write(path: Path, lines: Sequence[object]) -> Path:
    """A JSONL file; a text stands for a raw line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in lines))
    return path
