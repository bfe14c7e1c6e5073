"""What stood behind it: what became of answers before training, what it cost, and how to do it again."""

import yaml

from lemfarm.report.document import Block, Chapter, Heading, Listing, Table, Words
from lemfarm.report.facts import Report, Training
from lemfarm.report.figures import NONE, count, counts, listed, moment, numbers, share, short, span


def curation(report: Report) -> Chapter | str:
    """Duplicates, reviews, answers of others."""
    phases = report.phases
    if not any(one.duplicates or one.reviewed or one.external for one in phases):
        return "Curation: no answer was reviewed, found twice, or brought in from elsewhere."
    columns = ("phase", "duplicates rejected", "reviewed answers", "answers from elsewhere", "own and external rows")
    rows = tuple(
        (
            one.name,
            count(one.duplicates),
            counts(one.reviewed),
            counts(one.external),
            one.status.mix.text if one.status.mix else NONE,
        )
        for one in phases
    )
    blocks: list[Block | Heading] = [Table(columns, rows, frozenset({1}), f"lemfarm duplicates {report.name}")]
    if report.agreements:
        heads = ("reviewers", "both decided on", "said the same", "Cohen's kappa")
        pairs = tuple(
            (f"{one.first} and {one.second}", count(one.answers), count(one.agreed),
             NONE if one.kappa is None else f"{one.kappa:.2f}")
            for one in report.agreements
        )  # fmt: skip
        blocks += [
            Heading("Agreement of reviewers"),
            Table(heads, pairs, numbers(heads, 1), f"lemfarm review agreement {report.name}"),
        ]
    return Chapter("curation", "Curation", tuple(blocks))


def cost(report: Report) -> Chapter | str:
    """Tokens, hours, machines."""
    if not report.work and not report.machines:
        return "Cost: nothing was generated yet."
    blocks: list[Block | Heading] = [_work(report), Heading("Machines"), _machines(report)]
    cut = report.status.cut_loops
    if cut is not None and cut.answers:
        spared = f"{cut.answers:,} answers ended as repetition, which spared up to {cut.tokens_spared:,} tokens."
        blocks.append(Words(spared))
    return Chapter("cost", "Cost", tuple(blocks))


def _work(report: Report) -> Table:
    columns = ("phase", "for", "answers", "claims without one", "prompt tokens", "of them cached", "answer tokens",
               "answer time")  # fmt: skip
    rows = [
        (one.phase, _PURPOSES.get(one.purpose, one.purpose), count(one.answers), count(one.lost),
         count(one.prompt_tokens), share(one.cached_tokens, one.prompt_tokens), count(one.answer_tokens),
         span(one.seconds))
        for one in report.work
    ]  # fmt: skip
    total = (
        "all", "", count(sum(one.answers for one in report.work)), count(sum(one.lost for one in report.work)),
        count(sum(one.prompt_tokens for one in report.work)), NONE,
        count(sum(one.answer_tokens for one in report.work)), span(sum(one.seconds for one in report.work)),
    )  # fmt: skip
    caption = (
        "Everything that was ever generated, also under an earlier configuration. Answer time adds up how long every "
        "answer was in the making; answers share a machine, so that it exceeds the time of the clock."
    )
    return Table(columns, (*rows, total), numbers(columns, 2), "lemfarm samples show ID --json", caption)


_PURPOSES = {"distil": "training", "evaluate": "measuring"}


def _machines(report: Report) -> Table:
    columns = ("machine", "worker processes", "answers", "answer tokens", "generating", "tokens/s", "training")
    rows = tuple(
        (one.host, count(one.processes), count(one.answers), count(one.answer_tokens), span(one.busy_seconds),
         f"{one.answer_tokens / one.busy_seconds:.0f}" if one.busy_seconds else NONE, span(one.training_seconds))
        for one in report.machines
    )  # fmt: skip
    caption = (
        "Generating: the time with at least one answer in the making. A process that was started again counts again."
    )
    return Table(columns, rows, numbers(columns, 1), "lemfarm workers list --all", caption)


def reproducibility(report: Report) -> Chapter:
    """What another person needs to make it again, or to see that it is the same."""
    origin = report.origin
    facts = [
        ("run", report.name),
        ("begun, ended", f"{moment(report.created)}, {moment(report.finished)}"),
        ("lemfarm", origin.lemfarm),
        ("configuration", origin.config_hash),
        ("model", f"{origin.model_name} ({origin.model_key})"),
        ("model's commit, content", f"{origin.model_commit or NONE}, {origin.model_hash or NONE}"),
        *(("kernel", f"{name}: {hash_}") for hash_, name in origin.kernels.items()),
        ("seed of the sampling", str(origin.config.get("sampling", {}).get("seed", NONE))),
        ("scorers and versions", listed(f"{name} {version}" for name, version in origin.scorers.items())),
        *((f"gates of {phase.name}", phase.gate_hash or NONE) for phase in report.phases),
        *((f"dataset {name}".strip(), hash_) for hash_, name in origin.datasets.items()),
    ]
    blocks: list[Block | Heading] = [Table(("what", "which"), tuple(facts), source=f"lemfarm verify {report.name}")]
    trainings = [(phase.name, one) for phase in report.phases for one in phase.trainings if one.adapter]
    if trainings:
        heads = ("adapter", "of", "goes on from", "dataset", "trained with")
        made = tuple(_adapter(name, one) for name, one in trainings)
        blocks += [Heading("Adapters"), Table(heads, made, source=f"lemfarm phases {report.name} --json")]
    if report.machines:
        columns = ("machine", "lemfarm", "libraries and chip")
        rows = tuple(
            (one.host, listed(one.lemfarm), listed(f"{key} {' / '.join(found)}" for key, found in one.versions.items()))
            for one in report.machines
        )
        blocks += [Heading("Generated with"), Table(columns, rows, source="lemfarm samples show ID --json")]
    again = (
        f"lemfarm run RUNFILE\nlemfarm verify {report.name}\nlemfarm compare {report.name}\n"
        f"lemfarm report {report.name}"
    )
    blocks.append(Words("The same seeds give the same answers on the same machine with the same batches and versions; "
                        "everywhere else the stored texts are the record."))  # fmt: skip
    blocks.append(Listing("Commands", again))
    text = yaml.safe_dump(dict(origin.config), sort_keys=False, allow_unicode=True, width=100)
    blocks.append(Listing("The run file as it was understood", text, "lemfarm config show RUNFILE"))
    return Chapter("reproducibility", "Reproducibility", tuple(blocks))


def _adapter(phase: str, one: Training) -> tuple[str, ...]:
    versions = listed(f"{name} {version}" for name, version in sorted(one.versions.items()))
    return (one.adapter or NONE, f"{phase}, attempt {one.attempt}", short(one.parent) if one.parent else "untrained",
            str(one.dataset.get("hash", NONE)), versions)  # fmt: skip
