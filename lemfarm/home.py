"""The one folder in which everything of one farm lives: LEMFARM_HOME, by default ~/.lemfarm."""

import contextlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

import uuid_utils

from lemfarm.errors import NoSpace

HOME_VARIABLE = "LEMFARM_HOME"


@dataclass(frozen=True, slots=True)
class Home:
    """Names of the places in a home; nothing is created before it is needed."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "lemfarm.db"

    @property
    def valkey(self) -> Path:
        return self.root / "valkey"

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    @property
    def adapters(self) -> Path:
        return self.root / "adapters"

    @property
    def datasets(self) -> Path:
        """What was trained on: datasets/RUN/PHASE/HASH."""
        return self.root / "datasets"

    @property
    def exports(self) -> Path:
        return self.root / "exports"

    @property
    def mixes(self) -> Path:
        """Datasets mixed by recipes: mixes/NAME/FORMAT."""
        return self.root / "mixes"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def flower(self) -> Path:
        return self.root / "flower"

    @property
    def join_file(self) -> Path:
        """Where the URLs of a farm on several machines are kept, readable by the owner only."""
        return self.root / "join.json"

    @property
    def identity(self) -> str:
        """A name for this home, made once; tells workers that share a disk from workers that do not."""
        path = self.root / "home-id"
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            drafted = path.with_name(f".{path.name}.{uuid_utils.uuid7().hex}")
            write_private(drafted, drafted.suffix.removeprefix(".") + "\n")
            with contextlib.suppress(FileExistsError):  # another process was first: its name holds
                path.hardlink_to(drafted)
            drafted.unlink()
            return path.read_text().strip()

    def ensure(self, folder: Path | None = None) -> Path:
        """Create the home, or a folder in it. Raises NoSpace with the reason when that cannot be done."""
        place = folder or self.root
        try:
            place.mkdir(parents=True, exist_ok=True)
            if not os.access(place, os.W_OK):
                raise PermissionError(f"no write permission for {place}")
        except OSError as error:
            raise NoSpace(
                f"{place}: {error.strerror or error}. Set {HOME_VARIABLE} to a folder that can be written."
            ) from error
        return place


def open_home(root: str | Path | None = None) -> Home:
    """The home named by the argument, else by LEMFARM_HOME, else ~/.lemfarm."""
    chosen = root or os.environ.get(HOME_VARIABLE) or "~/.lemfarm"
    return Home(Path(chosen).expanduser().absolute())


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    write_whole(path, text.encode(), mode=stat.S_IRUSR | stat.S_IWUSR)


def write_whole(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file so that a crash leaves the old one or the new one. Raises OSError (disk full, no permission)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
