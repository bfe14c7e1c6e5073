"""Loss curves as TensorBoard reads them: an extra, for those who like to compare runs there.

Written from what the database has, on any machine and at any time; the trainer knows nothing of it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lemfarm.errors import InputError
from lemfarm.training.history import TrainingHistory

_EVENTS = "events.out.tfevents.*"


def write_curves(folder: Path, trainings: Sequence[TrainingHistory]) -> Iterator[Path]:
    """One folder per phase, anew each time; yields each once it is written.

    Raises InputError when the extra is not installed, or the folder cannot be written.
    """
    writer = _writer()
    for training in trainings:
        place = folder / training.phase
        try:
            _write(writer, place, training)
        except OSError as error:
            raise InputError(f"{place}: cannot be written ({error.strerror or error}).") from error
        yield place


def _write(writer: Any, place: Path, training: TrainingHistory) -> None:
    for older in place.glob(_EVENTS):
        older.unlink()
    with writer(logdir=str(place)) as board:
        for kind, curve in (("train", training.train), ("valid", training.valid)):
            for update, loss in curve:
                board.add_scalar(f"loss/{kind}", loss, update)


def _writer() -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise InputError("curves for TensorBoard need an extra: `pip install 'lemfarm[tensorboard]'`.") from error
    return SummaryWriter
