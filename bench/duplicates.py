"""What finding duplicates costs, and what it finds.

    python bench/duplicates.py [--documents 1000] [--words 3000] [--json]

Cost: answers of 3,000 words, one in ten a copy of an earlier one with 3 % of its words changed, are stored in SQLite as
workers store them, with the gate and without; the difference is what the gate costs, database and all. CPU seconds of
this process, since neighbours on the machine make wall time worthless. Then the same run is settled from scratch.

What it finds: copies with 1, 3 and 5 % of their words replaced, left out or added, at several thresholds, and the most
that two different texts of one making have in common.
"""

import argparse
import itertools
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from common import Aim, report, table, write_run
from planning import add_worker

from lemfarm.config import DuplicatesGate, load_config
from lemfarm.curation.settling import settle_run
from lemfarm.curation.signatures import TextSignature, bands, sign, similarity
from lemfarm.database import Database, open_database
from lemfarm.engines.simulated_text import write
from lemfarm.ledger import Ledger
from lemfarm.work import Result
from producer.course import Course
from producer.plan import apply_plan
from workers.storing import store

COPIES = 0.1
SHARES = (0.01, 0.03, 0.05)
THRESHOLDS = (0.7, 0.75, 0.8, 0.85)
LENGTHS = {50: 200, 300: 150, 1_000: 80, 3_000: 40}  #: words -> texts
AIM_SECONDS = 5.0
AIM_RECALL = 0.95


def edited(text: str, share: float, dice: random.Random) -> str:
    """So many of the words are replaced, left out, or followed by another."""
    words = text.split()
    for place in dice.sample(range(len(words)), max(1, round(len(words) * share))):
        words[place] = dice.choice([f"other{dice.randrange(999)}", "", f"{words[place]} indeed"])
    return " ".join(words)


def documents(count: int, words: int) -> list[str]:
    """Texts as answers, some of them copies with edits."""
    dice = random.Random(3)
    texts: list[str] = []
    for _ in range(count):
        copies = texts and dice.random() < COPIES
        texts.append(edited(dice.choice(texts), 0.03, dice) if copies else write(dice, 0.3, words))
    return texts


# ---- cost


def stored(texts: Sequence[str], *, compared: bool) -> dict[str, Any]:
    """CPU seconds to store all texts, and to settle the run again when they are compared."""
    with tempfile.TemporaryDirectory(prefix="lemfarm-bench-") as name:
        database = planned(Path(name), len(texts), compared=compared)
        ledger = Ledger(database)
        results = list(claimed(database, ledger, texts, compared=compared))
        began = time.process_time()
        for result in results:
            store(ledger, result)
        seconds, began = time.process_time() - began, time.process_time()
        changes = settle_run(database, 1)
        again = time.process_time() - began
        balance = ledger.balance(1, "distil")
        database.close()
    return {"seconds": seconds, "settle": again, "rejected": balance.rejected, "changes": len(changes)}


def planned(folder: Path, samples: int, *, compared: bool) -> Database:
    """A planned run with a phase that has the gate, or has not."""
    path = write_run(folder, "bench", probes=(samples + 39) // 40, samples=10, quota={"accepted": samples})
    config = load_config(path)
    gates = (DuplicatesGate(duplicates="reject"),) if compared else ()
    config = config.model_copy(update={"phases": (config.phases[0].model_copy(update={"gates": gates}),)})
    database = open_database(f"sqlite:///{folder / 'farm.db'}", migrate=True)
    apply_plan(database, Course(config, "simulated:simulated"), found=None, limit=samples, trains=False)
    add_worker(database, slots=16)
    return database


def claimed(database: Database, ledger: Ledger, texts: Sequence[str], *, compared: bool) -> Iterator[Result]:
    """Every sample claimed, with its answer."""
    with database.read() as connection:
        ids = list(connection.exec_driver_sql("SELECT id FROM sample ORDER BY sample_index, id").scalars())
        worker = connection.exec_driver_sql("SELECT id FROM worker").scalar_one()
    for sample_id, text in zip(ids, texts, strict=True):
        claim = ledger.claim(sample_id, worker, 10_000.0)
        assert claim is not None
        yield Result(
            sample_id=sample_id, epoch=claim.epoch, worker_id=worker, content=text, thoughts="", token_ids=b"",
            generation={"finish_reason": "stop"}, scores=(), outcome="accepted", reason="no gates", gate_hash="b2:x",
            rejects_duplicates=compared,
        )  # fmt: skip


# ---- what is found


def finds(words: int, texts: int) -> tuple[list[list[object]], float, float]:
    """A line for each share of edits with what is found at every threshold; the most and the usual similarity of texts
    that are not copies."""
    originals = [write(random.Random(f"{words}-{number}"), 0.3, words) for number in range(texts)]
    signed = [sign(text) for text in originals]
    dice = random.Random(5)
    lines: list[list[object]] = []
    for share in SHARES:
        pairs = [(one, sign(edited(text, share, dice))) for one, text in zip(signed, originals, strict=True)]
        lines.append([f"{words:,} words, {share:.0%} edited", *(recall(pairs, bound) for bound in THRESHOLDS)])
    apart = [similarity(one, other) for one, other in itertools.combinations(signed, 2)]
    return lines, max(apart), sum(apart) / len(apart)


def recall(pairs: Sequence[tuple[TextSignature, TextSignature]], threshold: float) -> float:
    """The share of pairs that the index proposes and the estimate confirms."""
    found = [similarity(*pair) >= threshold and not set(bands(pair[0])).isdisjoint(bands(pair[1])) for pair in pairs]
    return sum(found) / len(pairs)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--documents", type=int, default=1_000)
    parser.add_argument("--words", type=int, default=3_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    texts = documents(options.documents, options.words)
    without, compared = (stored(texts, compared=gate) for gate in (False, True))
    cost = 1_000 / options.documents * (compared["seconds"] - without["seconds"])
    lines, apart = [], []
    for words, count in LENGTHS.items():
        found, most, usual = finds(words, count)
        lines += found
        apart.append([f"{words:,} words", most, usual])
    worst = min(float(str(line[1])) for line in lines if "3%" in str(line[0]) or "1%" in str(line[0]))
    aims = [
        Aim(f"CPU of the gate for 1,000 answers of {options.words:,} words", cost, AIM_SECONDS, "s"),
        Aim("copies found with up to 3 % of their words changed, at worst", worst, AIM_RECALL, "", at_least=True),
        Aim("the most that two different texts have in common", max(float(str(one[1])) for one in apart), 0.7, ""),
    ]
    result = {"stored": {"without": without, "compared": compared}, "recall": lines, "apart": apart}
    said = [
        f"{options.documents:,} answers of {options.words:,} words; CPU seconds to store them, and for the whole run",
        f"without the gate {without['seconds']:.2f}",
        f"with the gate {compared['seconds']:.2f}: {compared['rejected']:,} rejected",
        f"settled from scratch {compared['settle']:.2f}: {compared['changes']} verdicts differ",
        "",
        *table(["found at a similarity of", *(f"{bound:g}" for bound in THRESHOLDS)], lines),
        "",
        *table(["texts that are no copies", "most alike", "mean"], apart),
    ]
    report(result, aims, as_json=options.json, lines=said)


if __name__ == "__main__":
    main()
