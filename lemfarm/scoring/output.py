"""A file that is written as a stream and is there whole or not at all."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from lemfarm.errors import InputError, NoSpace
from lemfarm.scoring.lines import STDIN

Write = Callable[[bytes], None]


def check_output(path: Path, inputs: Sequence[str]) -> None:
    """Refuse a place that cannot be written, and any file that is read at the same time. Raises InputError."""
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {path.parent}")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a file: name one that may be written.")
    for name in inputs:
        if name != STDIN and path.exists() and path.samefile(name):
            raise InputError(f"{path} is read and cannot be written at the same time: name another file with --out.")


@contextmanager
def whole_file(path: Path) -> Iterator[Write]:
    """What is written stands in `path` once the block ends well; until then, and after an error, the old file does.

    Raises NoSpace when it cannot be written.
    """
    target = path.resolve()
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    with _told(path):
        file = draft.open("xb", buffering=0)  # a buffer would try its last bytes again when a full disk is left
    try:
        with file:
            yield lambda data: _write(path, file, data)
            with _told(path):
                os.fsync(file.fileno())
        with _told(path):
            _put_in_place(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _write(path: Path, file: FileIO, data: bytes) -> None:
    rest = memoryview(data)
    with _told(path):
        while rest:
            rest = rest[file.write(rest) :]


def _put_in_place(draft: Path, target: Path) -> None:
    if target.exists():
        shutil.copymode(target, draft)
    draft.replace(target)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NoSpace(f"{path} cannot be written: {error.strerror or error}") from error
