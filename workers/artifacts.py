"""The adapters that a worker generates with and trains from: in this home, or fetched from the artifact store."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from sqlalchemy import text
from sqlmodel import Session, col, select

from lemfarm.database import Database
from lemfarm.errors import EngineFailure, LemfarmError
from lemfarm.home import Home
from lemfarm.identity import PREFIX
from lemfarm.ledger import Ledger
from lemfarm.records import Adapter
from lemfarm.training.artifacts import ArtifactStore, fetch, share

log = structlog.get_logger()


@dataclass
class Adapters:
    """One home's adapters; `store` is none where the farm has none, and work then goes to the home that has them."""

    database: Database
    home: Home
    store: ArtifactStore | None = None
    _fetching: threading.Lock = field(default_factory=threading.Lock)

    def folder(self, adapter: str) -> Path:
        """Where an adapter lies in this home, fetched if need be. Raises EngineFailure when it cannot be had here,
        Unavailable while the store is away, ModelError for an archive that is not what its name says."""
        name = adapter.removeprefix(PREFIX)
        found = self.home.adapters / name
        if found.is_dir():
            return found
        if self.store is None:
            raise EngineFailure(f"adapter {adapter} does not lie in {self.home.adapters}; another home has it.")
        with self._fetching:  # many samples want it at once, one of them fetches
            fetched = found if found.is_dir() else fetch(name, self.store, self.home.ensure(self.home.adapters))
        if fetched is None:
            raise EngineFailure(f"adapter {adapter} lies neither in {self.home.adapters} nor in the artifact store.")
        return fetched

    def share(self, adapter: str) -> bool:
        """Bring an adapter of this home into the store and note it; False, and a warning, where that fails: its work
        stays with this home until it is tried again."""
        if self.store is None:
            return False
        try:
            share(self.home.adapters / adapter.removeprefix(PREFIX), self.store)
            self._note_shared(adapter)
        except (LemfarmError, OSError) as error:
            log.warning("an adapter is not in the artifact store", adapter=adapter, error=str(error))
            return False
        log.info("an adapter is in the artifact store", adapter=adapter)
        return True

    def _note_shared(self, adapter: str) -> None:
        """From now on any worker may have its work; messages that wait for this home alone are sent anew, to all."""
        with self.database.write() as connection:
            query = text("UPDATE adapter SET in_store = true WHERE id = :id AND NOT in_store RETURNING run_id")
            run_id = connection.execute(query, {"id": adapter}).scalar_one_or_none()
        if run_id is not None:
            Ledger(self.database).forget_messages(run_id)

    def share_own(self) -> None:
        """Bring what was trained in this home before the farm had a store, or while it was away."""
        if self.store is None:
            return
        query = select(Adapter.id).where(Adapter.home_id == self.home.identity, col(Adapter.in_store).is_(False))
        with self.database.read() as connection, Session(bind=connection) as session:
            waiting = list(session.exec(query.order_by(col(Adapter.created).desc())))
        for adapter in waiting:
            self.share(adapter)
