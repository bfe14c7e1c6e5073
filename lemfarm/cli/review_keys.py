"""What a reviewer types: single keys on a terminal, lines elsewhere, and a text in their own editor."""

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from lemfarm.errors import InputError

Typed = tuple[str, str]
"""A key, and the note that stood behind it on the line."""


def ask(write: Callable[[str], None], keys: Mapping[str, str]) -> Typed:
    """The next of these keys. On a terminal one press is enough; elsewhere a line is read, of which the first character
    is the key and the rest a note. Raises EOFError where nothing more comes, KeyboardInterrupt."""
    while True:
        typed = _press() if sys.stdin.isatty() else _line()
        key, note = typed[:1].lower(), typed[1:].strip()
        if key in keys:
            write(f"{keys[key]}\n")
            return key, note
        if key.strip():
            write(f"{typed.strip()[:20]!r} is none of {', '.join(keys)}\n")


def ask_note(write: Callable[[str], None]) -> str:
    """A line of words on a terminal; elsewhere notes stand behind their key."""
    if not sys.stdin.isatty():
        return ""
    write("  note (Enter for none): ")
    return _line().strip()


def edit(text: str, environ: Mapping[str, str]) -> str:
    """The text as the reviewer's editor left it: VISUAL, else EDITOR, else vi. Raises InputError when that cannot be
    started or ends with an error."""
    command = shlex.split(environ.get("VISUAL") or environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory(prefix="lemfarm-review-") as folder:
        path = Path(folder) / "answer.md"
        path.write_text(text, encoding="utf-8", errors="replace")
        try:
            done = subprocess.run([*command, str(path)], check=False)
        except OSError as error:
            raise InputError(f"{command[0]} cannot be started: {error.strerror}. Name an editor in EDITOR.") from error
        if done.returncode:
            raise InputError(f"{command[0]} ended with {done.returncode}; the answer stays as it was.")
        edited = path.read_text(encoding="utf-8", errors="replace")
    return edited.removesuffix("\n") if not text.endswith("\n") else edited


def _line() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


def _press() -> str:
    """One character without Enter; the terminal is as it was afterwards. Ctrl-D ends, as the end of a file does."""
    import termios
    import tty

    place = sys.stdin.fileno()
    before = termios.tcgetattr(place)
    try:
        tty.setcbreak(place, termios.TCSADRAIN)  # keys that were pressed ahead are kept
        pressed = os.read(place, 1)
    finally:
        termios.tcsetattr(place, termios.TCSADRAIN, before)
    if pressed in (b"", b"\x04"):
        raise EOFError
    return pressed.decode(errors="replace")
