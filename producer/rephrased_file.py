"""The probe file that rephrasings end in: sources and new variants, with where each comes from and that it is to be
reviewed; and the care that no file is overwritten in which a person has worked."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lemfarm.dialogue import Message
from lemfarm.errors import InputError, NoSpace
from lemfarm.home import Home, write_whole
from lemfarm.identity import file_hash
from lemfarm.output_files import check_output
from lemfarm.probes import Probe, Variant, read_probes, variant_hash
from producer.course import as_json
from producer.rephrase import FIELD, RephrasingPlan, folder_of
from producer.rephrased import Made, Rephrasings

PENDING = "pending"
"""The mark of a variant that nobody has reviewed."""


def refuse_overwriting(out: Path, plan: RephrasingPlan, sources: Iterable[Path], *, home: Home, run: str) -> None:
    """Keep a file that this run did not write, that was changed since, or that holds what is not asked for this time.
    Raises InputError."""
    check_output(out, sources)
    if not out.exists():
        return
    if _written(home, run) != _mark(out):
        raise InputError(
            f"{out} was not written by run {run}, or was changed since (reviewed?). Give --out another name; "
            "a reviewed file can be the one to rephrase: only what it lacks is made."
        )
    lost = _lost(out, plan)
    if lost:
        raise InputError(f"{out} holds rephrasings that are not asked for now ({lost[0]}); give --out another name")


def save(found: Rephrasings, plan: RephrasingPlan, out: Path, *, home: Home, run: str) -> None:
    """Write the probes with their old variants and the new ones. Raises NoSpace."""
    made: dict[str, list[Made]] = {}
    for one in found.made:
        made.setdefault(one.probe, []).append(one)
    lines = [json.dumps(_line(probe, made.get(probe.id, [])), ensure_ascii=False) + "\n" for probe in plan.probes]
    try:
        write_whole(out, "".join(lines).encode())
        write_whole(_record(home, run), json.dumps(_mark(out)).encode())
    except OSError as error:
        raise NoSpace(f"{out}: {error.strerror or error}. The answers are kept; the same command writes it.") from error


def _lost(out: Path, plan: RephrasingPlan) -> list[str]:
    """The rephrasings in a file that neither the sources have nor the plan wants."""
    wanted = {(pair.probe, str(pair.kind)) for pair in plan.pairs}
    kept = {entry.get("sample") for probe in plan.probes for entry in probe.fields.get(FIELD, [])}
    entries = [(probe.id, entry) for probe in read_probes([out]) for entry in probe.fields.get(FIELD, [])]
    return [
        f"{probe} {entry.get('kind')}"
        for probe, entry in entries
        if entry.get("sample") not in kept and (probe, entry.get("kind")) not in wanted
    ]


def _line(probe: Probe, made: Sequence[Made]) -> dict[str, Any]:
    """A probe with its new variants as a line of a file, fields in the order in which they are read."""
    fields = dict(probe.fields)
    if made:
        fields[FIELD] = [*fields.get(FIELD, []), *map(_provenance, made)]
    first, *others = probe.variants
    variants = [{"kind": variant.kind, **_turns(variant)} for variant in others]
    variants += [{"kind": one.kind, "prompt": one.text} for one in made]
    named = {"id": probe.id, "domain": probe.domain}
    return named | fields | _turns(first) | ({"variants": variants} if variants else {})


def _provenance(made: Made) -> dict[str, Any]:
    """Names its variant by the hash of the text: it holds when variants are moved, and breaks when one is edited."""
    return {
        "kind": made.kind,
        "review": PENDING,
        "text": variant_hash(Variant(0, made.kind, (Message("user", made.text),))),
        "model": made.model,
        "run": made.run,
        "sample": made.sample,
        "score": made.score,
        "signals": dict(made.signals),
    }


def _turns(variant: Variant) -> dict[str, Any]:
    if [message.role for message in variant.messages] == ["user"]:
        return {"prompt": variant.messages[0].content}
    return {"messages": as_json(variant)}


def _record(home: Home, run: str) -> Path:
    return folder_of(home) / f"{run}.written.json"


def _written(home: Home, run: str) -> Any:
    """What this run wrote last; none when nothing."""
    try:
        return json.loads(_record(home, run).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _mark(out: Path) -> dict[str, str]:
    return {"file": str(out.resolve()), "hash": file_hash(out)}
