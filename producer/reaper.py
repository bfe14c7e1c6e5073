"""Takes back the work of workers that are gone: by lease, and faster where their process can be seen to be dead."""

import socket
import time
from dataclasses import dataclass, field
from functools import cached_property

import psutil
import structlog

from lemfarm.database import Database, prepared
from lemfarm.home import Home
from lemfarm.ledger import Ledger
from lemfarm.machine import boot_id
from lemfarm.training.phases import reap_stages
from lemfarm.work import Sighting

log = structlog.get_logger()


@dataclass
class Reaper:
    """A lease must be seen expired twice, half a lease apart, with the same epoch and expiry: after an outage of the
    database longer than the lease everybody's lease has run out, and the living renew theirs first."""

    database: Database
    ledger: Ledger
    home: Home
    _seen: dict[Sighting, float] = field(default_factory=dict)

    @cached_property
    def _here(self) -> dict[str, str]:
        """Asked once: the boot's id costs a process of its own on a Mac."""
        return {"home": self.home.identity, "boot": boot_id(), "host": socket.gethostname()}

    def look(self, lease_seconds: float) -> int:
        """One round; returns how many samples went back."""
        taken = self._bury_neighbours()
        now = time.monotonic()
        expired = self.ledger.expired()
        self._seen = {sighting: self._seen.get(sighting, now) for sighting in expired}
        ripe = [sighting for sighting, first in self._seen.items() if now - first >= lease_seconds / 2]
        if ripe:
            reaped = self.ledger.reap(ripe)
            log.warning("took back expired leases", samples=reaped)
            taken += reaped
        reap_stages(self.database)
        return taken

    def _bury_neighbours(self) -> int:
        """Workers of this home, on this machine, in this boot, whose process is gone."""
        query = prepared(
            """SELECT id, name, pid FROM worker WHERE home_id = :home AND boot_id = :boot AND host = :host
               AND state NOT IN ('stopped', 'died', 'refused')"""
        )
        with self.database.read() as connection:
            rows = connection.execute(query, self._here).all()
        taken = 0
        for worker_id, name, pid in rows:
            if not _lives(pid):
                taken += self.ledger.bury(worker_id, rebooted=False)
                log.warning("a worker process is gone", worker=name, pid=pid)
        return taken


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
