"""A file that is written as a stream and is there whole or not at all."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from lemfarm.errors import InputError, NoSpace
from lemfarm.text_files import is_so, printable

Write = Callable[[bytes], None]


def check_output(path: Path, inputs: Iterable[Path]) -> None:
    """Refuse, before any work is done, a place that cannot be written, and any file that is read at the same time.
    Raises InputError."""
    folder = path.absolute().parent
    try:
        exists = path.exists()
    except OSError as error:  # a name that no system takes
        raise InputError(f"{printable(path)} cannot be written: {error.strerror or error}") from error
    if not folder.is_dir():
        raise InputError(f"{printable(path)} cannot be written: there is no folder {printable(folder)}")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{printable(path)} cannot be written: nothing may be written in {printable(folder)}")
    if exists and not path.is_file():
        raise InputError(f"{printable(path)} is not a file: name one that may be written.")
    if exists and any(is_so(read.exists) and path.samefile(read) for read in inputs):
        raise InputError(
            f"{printable(path)} is read and cannot be written at the same time: name another file with --out."
        )


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
