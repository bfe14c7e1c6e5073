"""Takes back the work of workers that are gone: by lease, and faster where their process can be seen to be dead."""

import os
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import psutil
import structlog

from lemfarm.database import Database, prepared
from lemfarm.home import Home
from lemfarm.ledger import Ledger
from lemfarm.machine import boot_id
from lemfarm.training.phases import expired_stages, reap_stages
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
    _seen_stages: dict[Sighting, float] = field(default_factory=dict)

    @cached_property
    def _here(self) -> dict[str, str]:
        """Asked once: the boot's id costs a process of its own on a Mac."""
        return {"home": self.home.identity, "boot": boot_id(), "host": socket.gethostname()}

    def look(self, lease_seconds: float) -> int:
        """One round; returns how many samples went back. One reading tells whether there is anything to do."""
        now = self.database.now
        with self.database.read() as connection:
            neighbours = connection.execute(prepared(_NEIGHBOURS), self._here).all()
            expired = connection.execute(prepared(_EXPIRED.format(now=now))).one()
        taken = sum(self._bury(row.id, row.name) for row in neighbours if not _lives(row.pid))
        taken += self._reap(lease_seconds) if expired.samples else 0
        if expired.stages:
            self._reap_stages(lease_seconds)
        return taken

    def _reap(self, lease_seconds: float) -> int:
        self._seen, ripe = _ripen(self._seen, self.ledger.expired(), lease_seconds)
        reaped = self.ledger.reap(ripe) if ripe else 0
        if reaped:
            log.warning("took back expired leases", samples=reaped)
        return reaped

    def _reap_stages(self, lease_seconds: float) -> None:
        self._seen_stages, ripe = _ripen(self._seen_stages, expired_stages(self.database), lease_seconds)
        if ripe and reap_stages(self.database, ripe):
            log.warning("took back the lease of a training", stages=len(ripe))

    def _bury(self, worker_id: str, name: str) -> int:
        log.warning("a worker process is gone", worker=name)
        return self.ledger.bury(worker_id, rebooted=False)


#: Workers of this home, on this machine, in this boot, that have not said goodbye.
_NEIGHBOURS = """SELECT id, name, pid FROM worker WHERE home_id = :home AND boot_id = :boot AND host = :host
    AND state NOT IN ('stopped', 'died', 'refused')"""
_EXPIRED = """SELECT
    (SELECT count(*) FROM sample WHERE state = 'leased' AND lease_expires < {now}) AS samples,
    (SELECT count(*) FROM training_stage WHERE state = 'leased' AND lease_expires < {now}) AS stages"""


def _ripen(
    seen: dict[Sighting, float], expired: Iterable[Sighting], lease_seconds: float
) -> tuple[dict[Sighting, float], list[Sighting]]:
    """When each expired lease was first seen, and those seen so at least half a lease ago."""
    now = time.monotonic()
    kept = {sighting: seen.get(sighting, now) for sighting in expired}
    return kept, [sighting for sighting, first in kept.items() if now - first >= lease_seconds / 2]


def _lives(pid: int) -> bool:
    if pid == os.getpid():
        return True
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # somebody lives there that we may not look at
        return True
