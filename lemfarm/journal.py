"""How the processes of a farm write their log: one logfmt line an event, to standard error or to a file of the home."""

import logging
import sys
import threading
from pathlib import Path
from typing import TextIO

import structlog

from lemfarm.errors import NoSpace
from lemfarm.rotation import keep_own_output_small, keep_small, rotate

_enough = threading.Event()  # ends the care for the file that was written to before


def write_to_stderr() -> None:
    """For processes whose output a supervisor collects."""
    _configure(sys.stderr)
    keep_own_output_small()


def write_to_file(path: Path) -> None:
    """For commands that show a person something else. Raises NoSpace when the file cannot be written."""
    global _enough
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        rotate(path)
        stream = path.open("a", buffering=1, encoding="utf-8")
    except OSError as error:
        raise NoSpace(f"{path}: {error.strerror or error}. Free some space, or choose another home.") from error
    _configure(stream)
    _enough.set()
    _enough = keep_small(path, stream)


def _configure(stream: TextIO) -> None:
    logging.basicConfig(level=logging.WARNING, stream=stream, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
