"""Waves: which pending samples become messages now, and what to do when messages are lost."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import bindparam, text

from lemfarm.broker import QueuedSample, generate_queue, queue_length, send_generate
from lemfarm.config import PhaseConfig
from lemfarm.database import Database
from lemfarm.ledger import Ledger
from lemfarm.planning import next_wave
from lemfarm.records import Run
from producer.quotas import patience_with
from producer.standing import Standing, open_samples

if TYPE_CHECKING:
    from celery import Celery

log = structlog.get_logger()
SMALLEST_DEPTH = 64
DEPTH_PER_SLOT = 4
PASSES_BEFORE_LOST = 2


@dataclass
class Waves:
    """Keeps the queue as deep as the workers need, no deeper: what is not sent can still be decided otherwise."""

    database: Database
    ledger: Ledger
    app: "Celery"
    _number: int = 0
    _empty_passes: dict[int, int] = field(default_factory=dict)
    _done_before: dict[int, int] = field(default_factory=dict)

    def send_evaluation(self, run: Run) -> int:
        """Send every evaluation row that waits: there are few, and each is needed."""
        assert run.id is not None
        rows = self._waiting("s.run_id = :key AND s.purpose = 'evaluate'", {"key": run.id})
        return self._send(run, [row for _, row in rows])

    def send_phase(self, run: Run, phase_id: int, config: PhaseConfig, standing: Standing) -> int:
        """Send the phase's next wave: sized by pass rates, or all there is where the whole grid is wanted."""
        quota, depth = config.quota, self._depth(phase_id, standing)
        if quota.stop_when_full:
            missing, cap = quota.accepted - standing.expected(quota), quota.at_most_per_probe
            at_once = patience_with(standing, quota) if run.sample_limit is None else {}
            wave = next_wave(standing.cells, missing, depth=depth, at_most_per_probe=cap, at_once=at_once)
        else:
            wave = next_wave(standing.cells, open_samples(standing.cells), depth=depth)
        wanted: dict[str, int] = {}
        for key, count in wave:
            variant = standing.variants[key]
            wanted[variant] = wanted.get(variant, 0) + count
        return self._send(run, self._choose(phase_id, wanted))

    def _choose(self, phase_id: int, wanted: dict[str, int]) -> list[QueuedSample]:
        """The lowest sample indices of each variant, variants in the order of the wave."""
        if not wanted:
            return []
        where = "s.phase_id = :key AND s.purpose = 'distil' AND s.variant_id IN :variants"
        rows = self._waiting(where, {"key": phase_id, "variants": list(wanted)})
        left = dict(wanted)
        chosen: dict[str, list[QueuedSample]] = {variant: [] for variant in wanted}
        for variant, row in rows:
            if left[variant] > 0:
                left[variant] -= 1
                chosen[variant].append(row)
        return [row for rows_of_variant in chosen.values() for row in rows_of_variant]

    def _depth(self, phase_id: int, standing: Standing) -> int:
        """Enough for all slots, and for what was finished since the last look, so that no slot waits for us."""
        done = sum(cell.accepted + cell.rejected + cell.other for cell in standing.cells)
        finished = done - self._done_before.get(phase_id, done)
        self._done_before[phase_id] = done
        return max(SMALLEST_DEPTH, DEPTH_PER_SLOT * self._slots(), 3 * finished)

    def _slots(self) -> int:
        with self.database.read() as connection:
            return int(
                connection.execute(
                    text(
                        f"""SELECT coalesce(sum(slots), 0) FROM worker
                            WHERE state = 'ready' AND last_seen > {self.database.now} - 300"""
                    )
                ).scalar_one()
            )

    def recall_lost(self, run: Run) -> None:
        """Messages are lost when the queue is empty while sent samples are pending, in two looks in a row."""
        assert run.id is not None
        empty = self._sent_but_pending(run.id) > 0 and self._queued(run) == 0
        self._empty_passes[run.id] = self._empty_passes.get(run.id, 0) + 1 if empty else 0
        if self._empty_passes[run.id] >= PASSES_BEFORE_LOST:
            self._empty_passes[run.id] = 0
            log.info("messages were lost and are sent again", run=run.name, samples=self.ledger.forget_messages(run.id))

    def _queued(self, run: Run) -> int:
        return sum(queue_length(self.app, queue) for queue in self._queues(run))

    def _queues(self, run: Run) -> Sequence[str]:
        with self.database.read() as connection:
            homes = connection.execute(
                text("SELECT DISTINCT home_id FROM adapter WHERE run_id = :run"), {"run": run.id}
            ).scalars()
            return [generate_queue(run.model_key), *(generate_queue(run.model_key, home) for home in homes)]

    def _sent_but_pending(self, run_id: int) -> int:
        with self.database.read() as connection:
            return int(
                connection.execute(
                    text("SELECT count(*) FROM sample WHERE run_id = :run AND state = 'pending' AND wave IS NOT NULL"),
                    {"run": run_id},
                ).scalar_one()
            )

    def _waiting(self, where: str, values: dict[str, object]) -> list[tuple[str, QueuedSample]]:
        """Pending samples without a message, lowest index first, with the label that Flower shows."""
        statement = text(
            f"""SELECT s.id, s.variant_id, s.sample_index, p.name, v.position, r.model_key,
                CASE WHEN a.in_store THEN NULL ELSE a.home_id END AS home_id FROM sample s
                JOIN run r ON r.id = s.run_id JOIN probe p ON p.id = s.probe_id JOIN variant v ON v.id = s.variant_id
                LEFT JOIN adapter a ON a.id = s.adapter_id
                WHERE {where} AND s.state = 'pending' AND s.wave IS NULL AND NOT s.superseded
                AND s.not_before <= {self.database.now} ORDER BY s.sample_index, p.name, v.position"""
        )
        if "variants" in values:
            statement = statement.bindparams(bindparam("variants", expanding=True))
        with self.database.read() as connection:
            rows = connection.execute(statement, values).all()
        return [
            (
                row.variant_id,
                QueuedSample(
                    row.id,
                    generate_queue(row.model_key, row.home_id),
                    f"{row.name} v{row.position} #{row.sample_index}",
                ),
            )
            for row in rows
        ]

    def _send(self, run: Run, rows: Sequence[QueuedSample]) -> int:
        """Note first, then send: a crash in between leaves rows that the lost-message rule finds."""
        if not rows:
            return 0
        self._number += 1
        self.ledger.send([row.sample_id for row in rows], self._number)
        send_generate(self.app, rows)
        log.debug("wave sent", run=run.name, samples=len(rows))
        return len(rows)
