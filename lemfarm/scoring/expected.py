"""Right answers from a file of questions, for records that do not carry their own."""

from pathlib import Path

from lemfarm.errors import InputError
from lemfarm.json_entries import Entry, entries_of
from lemfarm.scorers import EXPECTED_KEY
from lemfarm.text_files import decode


def read_expected(path: Path) -> dict[str, str]:
    """The right answer of each id, from JSONL or a JSON array of objects with `id` and `correct_answer`.

    Raises InputError, naming file and line: for what cannot be read, an entry without either, an id with two answers.
    """
    problems: list[str] = []
    answers: dict[str, str] = {}
    for entry in entries_of(path, _text(path), problems):
        probe, answer = _pair(entry)
        if answers.setdefault(probe, answer) != answer:
            raise InputError(f"{entry.place}: {probe} has another `{EXPECTED_KEY}` further up; which one is right?")
    if problems:
        raise InputError(problems[0])
    return answers


def _text(path: Path) -> str:
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not {error.encoding}; save it as UTF-8") from error


def _pair(entry: Entry) -> tuple[str, str]:
    value = entry.value if isinstance(entry.value, dict) else {}
    found = tuple(_plain(value.get(key)) for key in ("id", EXPECTED_KEY))
    if "" in found:
        raise InputError(f"{entry.place}: an object with `id` and `{EXPECTED_KEY}` is wanted")
    return found[0], found[1]


def _plain(value: object) -> str:
    """Texts and numbers as text, anything else as nothing."""
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""
