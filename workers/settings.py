"""What a worker process is told by its supervisor, through the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lemfarm.local_workers import NAME_VARIABLE, RUN_VARIABLE

SLOTS_VARIABLE = "LEMFARM_SLOTS"
MODELS_VARIABLE = "LEMFARM_MODELS"
GRACE_VARIABLE = "LEMFARM_GRACE_SECONDS"
GRACE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Settings:
    """The orders of one worker. `run`: it serves this one alone, and ends with it."""

    name: str
    slots: int | None
    models: Mapping[str, Path]
    run: str | None
    grace_seconds: float

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """Take the settings from the environment; `LEMFARM_MODELS` holds ID=FOLDER, separated by the path separator."""
        pairs = filter(None, environ.get(MODELS_VARIABLE, "").split(os.pathsep))
        return cls(
            name=environ.get(NAME_VARIABLE) or f"{os.uname().nodename.split('.')[0]}-1",
            slots=int(environ[SLOTS_VARIABLE]) if environ.get(SLOTS_VARIABLE) else None,
            models={name: Path(folder) for name, _, folder in (pair.partition("=") for pair in pairs)},
            run=environ.get(RUN_VARIABLE) or None,
            grace_seconds=float(environ.get(GRACE_VARIABLE) or GRACE_SECONDS),
        )
