"""What a claim refers to, read once and kept: wordings, kernels, and what the run says of phases and gates."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from sqlalchemy import text
from sqlmodel import Session

from lemfarm.config import FarmConfig, PhaseConfig, RunConfig, config_from_data
from lemfarm.database import Database, decoded
from lemfarm.dialogue import Message, Placement
from lemfarm.engines.base import Request, Sampling
from lemfarm.errors import NotFound
from lemfarm.home import Home
from lemfarm.records import Kernel, Phase, Run
from lemfarm.work import Claim
from producer.score_tasks import expected_of
from workers.artifacts import Adapters

FRESH_SECONDS = 2.0
_WORDING = text(
    """SELECT probe.name, variant.position, variant.messages, probe.fields
       FROM variant JOIN probe ON probe.id = variant.probe_id WHERE variant.id = :variant"""
)
_CONFIG_HASH = text("SELECT run.config_hash FROM run JOIN phase ON phase.run_id = run.id WHERE phase.id = :phase")
_KEPT = 1000
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Rules:
    """What a run asks of a sample: its phase with gates, and the farm's patience."""

    run: str
    phase: PhaseConfig
    farm: FarmConfig
    scorer: str | None  #: of the evaluation
    config_hash: str = ""


@dataclass(frozen=True, slots=True)
class Wording:
    """One text of a probe, with the name a person reads, and the right answer where the probe has one."""

    probe: str
    position: int
    messages: tuple[Message, ...]
    expected: str | None = None

    @property
    def prompt(self) -> str:
        """The last user turn: what scorers are given."""
        return self.messages[-1].content


@dataclass
class Library:
    """Caches over the database; contents are named by their hash, so only rules can change and are read again, and
    with them the right answers of probes."""

    database: Database
    home: Home
    adapters: Adapters | None = None  #: with the artifact store; none: those of the home alone
    _wordings: dict[str, Wording] = field(default_factory=dict)
    _kernels: dict[str, str] = field(default_factory=dict)
    _rules: dict[int, tuple[float, Rules]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def request(self, claim: Claim) -> Request:
        """What to generate for a claim. Raises what `Adapters.folder` raises for its adapter."""
        wording = self.wording(claim.variant_id)
        sampling = Sampling(**{key: claim.sampling[key] for key in ("temperature", "top_p", "max_tokens")})
        return Request(
            sample_id=claim.sample_id,
            messages=wording.messages,
            sampling=sampling,
            seed=claim.seed,
            kernel=self._kernel(claim.kernel_hash) if claim.kernel_hash else None,
            placement=Placement(claim.placement),
            adapter=self._adapter(claim.adapter_id) if claim.adapter_id else None,
            label=f"{wording.probe} v{wording.position} #{claim.sample_index}",
        )

    def wording(self, variant_id: str) -> Wording:
        """The text of a variant."""
        return self._cached(self._wordings, variant_id, self._read_wording)

    def rules(self, phase_id: int) -> Rules:
        """The phase's rules, at most two seconds old: a gate may be changed while a run goes on."""
        known = self._rules.get(phase_id)
        if known is not None and time.monotonic() - known[0] < FRESH_SECONDS:
            return known[1]
        if known is not None and known[1].config_hash == self._config_hash(phase_id):
            rules = known[1]
        else:
            rules = self._read_rules(phase_id)
            with self._lock:
                self._wordings.clear()
        self._rules[phase_id] = (time.monotonic(), rules)
        return rules

    def _cached(self, cache: dict[str, Found], key: str, read: Callable[[str], Found]) -> Found:
        with self._lock:
            if key in cache:
                return cache[key]
        value = read(key)
        with self._lock:
            if len(cache) >= _KEPT:
                cache.clear()
            cache[key] = value
        return value

    def _kernel(self, kernel_hash: str) -> str:
        return self._cached(self._kernels, kernel_hash, self._read_kernel)

    def _adapter(self, adapter_id: str) -> Path:
        return (self.adapters or Adapters(self.database, self.home)).folder(adapter_id)

    def _read_wording(self, variant_id: str) -> Wording:
        with self.database.read() as connection:
            probe, position, turns, fields = connection.execute(_WORDING, {"variant": variant_id}).one()
            messages = tuple(Message(turn["role"], turn["content"]) for turn in decoded(turns))
            return Wording(probe, position, messages, expected_of(decoded(fields)))

    def _read_kernel(self, kernel_hash: str) -> str:
        with self.database.read() as connection, Session(bind=connection) as session:
            return session.get_one(Kernel, kernel_hash).text

    def _config_hash(self, phase_id: int) -> str:
        with self.database.read() as connection:
            return str(connection.execute(_CONFIG_HASH, {"phase": phase_id}).scalar_one())

    def _read_rules(self, phase_id: int) -> Rules:
        with self.database.read() as connection, Session(bind=connection) as session:
            phase = session.get_one(Phase, phase_id)
            run = session.get_one(Run, phase.run_id)
            config = config_from_data(run.config)
            return Rules(
                run.name,
                _phase_named(config, phase.name),
                config.farm,
                config.evaluate.scorer if config.evaluate else None,
                run.config_hash,
            )


def _phase_named(config: RunConfig, name: str) -> PhaseConfig:
    for phase in config.phases:
        if phase.name == name:
            return phase
    raise NotFound(f"phase {name} is no longer in the configuration of run {config.run}")
