"""What a run file asks for, spelled out: which probes each phase samples, and every row that follows.

Pure: files are read, nothing is written. The same configuration always gives the same ids, which is what makes a
second `run` find the work of the first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from lemfarm import probes
from lemfarm.config import PhaseConfig, RunConfig
from lemfarm.dialogue import Placement
from lemfarm.identity import content_hash, fingerprint, sample_id, sample_seed
from lemfarm.kernels import KernelText, read_kernel
from lemfarm.records import Purpose
from lemfarm.work import PlannedSample

EVALUATION = "evaluate"


@dataclass(frozen=True)
class Course:
    """A configuration with its probes and kernels read."""

    config: RunConfig
    model_key: str

    @cached_property
    def phase_probes(self) -> Mapping[str, tuple[probes.Probe, ...]]:
        """Probes that each phase samples: those of its files without the held-out ones."""
        return {
            phase.name: tuple(probe for probe in probes.read_probes(phase.probes) if probe.id not in self.held_out)
            for phase in self.config.phases
        }

    @cached_property
    def evaluation_probes(self) -> tuple[probes.Probe, ...]:
        """What is measured before and after: the held-out probes, then a share of the others, in the order of a hash,
        with the wordings that are asked."""
        if self.config.evaluate is None:
            return ()
        known = {probe.id: probe for probe in self._evaluation_set}
        share, seed = self.config.evaluate.trained, self.config.sampling.seed
        measured = probes.measured_probes(known, self.held_out, share, seed)
        wordings = None if self.config.evaluate.wordings == "all" else 1
        found = sorted((known[name] for name in known if name in measured), key=lambda one: one.id not in self.held_out)
        return tuple(replace(probe, variants=probe.variants[:wordings]) for probe in found)

    @cached_property
    def held_out(self) -> frozenset[str]:
        """Ids of the probes that no phase samples; none where nothing is evaluated."""
        if self.config.evaluate is None:
            return frozenset()
        ids = [probe.id for probe in self._evaluation_set]
        return probes.held_out_probes(ids, self.config.evaluate.held_out, self.config.sampling.seed)

    @cached_property
    def _evaluation_set(self) -> tuple[probes.Probe, ...]:
        return probes.read_probes([self.config.evaluate.probes]) if self.config.evaluate else ()

    @cached_property
    def all_probes(self) -> tuple[probes.Probe, ...]:
        """Every probe that a row may name, with the wordings of every file that has it."""
        phases = (probe for group in self.phase_probes.values() for probe in group)
        return tuple(dict.fromkeys((*self.evaluation_probes, *phases)))

    def kernel_of(self, phase: PhaseConfig) -> KernelText | None:
        """The kernel a phase generates with."""
        kernel = self.config.kernel_for(phase)
        return None if kernel is None or kernel.placement is Placement.NONE else read_kernel(kernel.file)

    @cached_property
    def conditions(self) -> Mapping[str, KernelText | None]:
        """The kernels that evaluation compares, by name; none is the bare prompt."""
        if self.config.evaluate is None:
            return {}
        found = self.config.evaluate.conditions.items()
        return {name: None if path is None else read_kernel(path) for name, path in found}

    @cached_property
    def kernels(self) -> tuple[KernelText, ...]:
        """Every kernel text in use, once."""
        used = [self.kernel_of(phase) for phase in self.config.phases] + list(self.conditions.values())
        return tuple({kernel.hash: kernel for kernel in used if kernel}.values())

    def grid(self, phase: PhaseConfig) -> int:
        """How many samples a phase plans: texts x samples."""
        return sum(len(probe.variants) for probe in self.phase_probes[phase.name]) * phase.samples

    def distil_rows(
        self, run_id: int, phase_ids: Mapping[str, int], limit: int | None, adapters: Mapping[str, str] | None = None
    ) -> list[PlannedSample]:
        """All rows of all phases, or the first `limit`: first samples of every text come before second ones. A phase
        without one of the `adapters` asks the base model."""
        rows: list[PlannedSample] = []
        for phase in self.config.phases:
            for row in self._phase_rows(phase, run_id, phase_ids[phase.name], (adapters or {}).get(phase.name)):
                if limit is not None and len(rows) >= limit:
                    return rows
                rows.append(row)
        return rows

    def _phase_rows(
        self, phase: PhaseConfig, run_id: int, phase_id: int, adapter: str | None
    ) -> Iterator[PlannedSample]:
        sampling = self.config.sampling_for(phase).model_dump(mode="json")
        kernel = self.kernel_of(phase)
        config = self.config.kernel_for(phase)
        placement = config.placement if kernel and config else Placement.NONE
        texts = list(self._texts(self.phase_probes[phase.name], kernel, placement, sampling, adapter))
        for index in range(phase.samples):
            for text in texts:
                yield self._row(text, run_id, phase_id, phase.name, Purpose.DISTIL, index)

    def evaluation_rows(self, run_id: int, phase_id: int) -> list[PlannedSample]:
        """Rows for every text that is measured, under every condition, answered by the base model or the adapter that
        the file names."""
        evaluate = self.config.evaluate
        if evaluate is None:
            return []
        temperature = 0.0 if evaluate.greedy else self.config.sampling.temperature
        sampling = self.config.sampling.model_dump(mode="json")
        sampling |= {"temperature": temperature, "max_tokens": evaluate.max_tokens}
        rows = []
        for condition, kernel in self.conditions.items():
            placement = self._condition_placement if kernel else Placement.NONE
            texts = list(self._texts(self.evaluation_probes, kernel, placement, sampling, evaluate.adapter))
            for index in range(evaluate.samples):
                rows += [
                    self._row(text, run_id, phase_id, EVALUATION, Purpose.EVALUATE, index, condition) for text in texts
                ]
        return rows

    @property
    def _condition_placement(self) -> Placement:
        """Where a condition's kernel goes: as in the run, and into the system turn where the run places none."""
        own = self.config.kernel.placement if self.config.kernel else Placement.NONE
        return Placement.SYSTEM if own is Placement.NONE else own

    def _texts(
        self,
        group: tuple[probes.Probe, ...],
        kernel: KernelText | None,
        placement: Placement,
        sampling: dict[str, Any],
        adapter: str | None = None,
    ) -> Iterator["_Text"]:
        """Every wording; one that two probes share is one question, asked for the first of them."""
        kernel_hash = kernel.hash if kernel else None
        asked: set[str] = set()
        wordings = [(probe, variant) for probe in group for variant in probe.variants]
        for probe, variant in wordings:
            mark = fingerprint(self.model_key, adapter, kernel_hash, placement, as_json(variant), sampling)
            if mark in asked:
                continue
            asked.add(mark)
            names = (probe_key(probe.id), variant_key(probe.id, variant), mark)
            yield _Text(*names, kernel_hash, adapter, placement, sampling)

    def _row(
        self, text: "_Text", run_id: int, phase_id: int, scope: str, purpose: Purpose, index: int, condition: str = ""
    ) -> PlannedSample:
        identity = sample_id(self.config.run, scope, text.fingerprint, index)
        return PlannedSample(
            id=identity,
            run_id=run_id,
            phase_id=phase_id,
            purpose=purpose,
            probe_id=text.probe_id,
            variant_id=text.variant_id,
            sample_index=index,
            fingerprint=text.fingerprint,
            condition=condition,
            kernel_hash=text.kernel_hash,
            adapter_id=text.adapter_id,
            placement=text.placement,
            sampling=text.sampling,
            seed=sample_seed(text.sampling["seed"], identity),
        )


@dataclass(frozen=True, slots=True)
class _Text:
    """One wording as one phase asks it."""

    probe_id: str
    variant_id: str
    fingerprint: str
    kernel_hash: str | None
    adapter_id: str | None
    placement: Placement
    sampling: dict[str, Any]


def as_json(variant: probes.Variant) -> list[dict[str, str]]:
    """A variant's turns as they are stored and hashed."""
    return [{"role": message.role, "content": message.content} for message in variant.messages]


def probe_key(probe_id: str) -> str:
    """The database's name of a probe: by its id, so that an edited text still counts for the same probe."""
    return content_hash(["probe", probe_id])


def variant_key(probe_id: str, variant: probes.Variant) -> str:
    """The database's name of one wording: by its content, so that an edited text is a new wording."""
    return content_hash(["variant", probe_id, as_json(variant)])
