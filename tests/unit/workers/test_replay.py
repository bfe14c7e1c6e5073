"""Stored samples made again from their records: by the simulated engine, and by a tiny model in real batches."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("MLX_DISABLE_COMPILE", "1")  # read when MLX is imported

import pytest

from lemfarm import __version__
from lemfarm.engines import open_engine
from lemfarm.engines.base import Engine
from lemfarm.errors import InputError, ModelError, NotFound
from lemfarm.models import find_model
from lemfarm.training.phases import claim_stage, finish_stage, open_stage
from producer.generators import settle_generators
from tests.command import lemfarm
from tests.finished_run import make_adapter
from tests.ground import RUN_FILE, Ground
from tests.tiny_model import make_tiny_model
from workers.library import Library
from workers.replay import Replay, open_replay
from workers.results import make_result, pack_tokens

MLX_RUN = RUN_FILE.replace("{engine: simulated}", "{engine: mlx, path: tiny}").replace("64", "24")


TRAIN = "    train: {iterations: 5, learning_rate: 1.0e-4}\n"
SECOND = MLX_RUN[MLX_RUN.index("  - name") :].replace("name: first", "name: second\n    generate_with: promoted")
PROMOTED_RUN = f"{MLX_RUN}{TRAIN}{SECOND}train: {{rank: 4, scale: 16.0, num_layers: -1}}\n"


def generate(ground: Ground, engine: Engine, samples: Sequence[str], withdrawn: Sequence[str] = ()) -> None:
    """Answer samples as a worker does, each joining the batch a step after the one before it. Those that are withdrawn
    are taken out when one of the others is left to join, and never finish."""
    library = Library(ground.database, ground.home)
    left = {sample: ground.claim(sample) for sample in samples}
    waiting = list(samples)
    for sample in withdrawn:
        engine.add(library.request(ground.claim(sample)))
    while left:
        if waiting:
            engine.add(library.request(left[waiting.pop(0)]))
        if len(waiting) == 1:
            for sample in withdrawn:
                engine.remove(sample)
        for finished in engine.step():
            assert finished.completion is not None, finished.error
            claim = left.pop(finished.sample_id)
            rules, wording = library.rules(claim.phase_id), library.wording(claim.variant_id)
            assert ground.ledger.record(make_result(claim, "w", wording, finished.completion, rules))


def replay(ground: Ground, sample: str, *, strict: bool = False) -> Replay:
    with open_replay(ground.database, ground.home, sample, strict=strict) as player:
        return player.play()


def rewrite(ground: Ground, sample: str, **generation: object) -> None:
    """Let the record say something else."""
    found = ground.value("SELECT generation FROM attempt WHERE sample_id = :id", id=sample)
    changed = json.dumps({**json.loads(found), **generation})
    ground.execute("UPDATE attempt SET generation = :made WHERE sample_id = :id", made=changed, id=sample)


def record_of(ground: Ground, sample: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ground.value("SELECT generation FROM attempt WHERE sample_id = :id", id=sample))
    return found


def stays(ground: Ground, sample: str) -> dict[str, Any]:
    """When its batch-mates joined and left."""
    made = record_of(ground, sample)
    return dict(zip(made["batch_mates"], made["batch_steps"], strict=True))


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[Ground]:
    """A run of which three samples were answered by the simulated engine."""
    ground = Ground(tmp_path)
    ground.plan()
    engine = open_engine(ground.config(model__tokens_per_second=0).model, folder=None, slots=4)
    engine.load()
    ground.execute("UPDATE worker SET lemfarm_version = :version", version=__version__)
    generate(ground, engine, ground.ids(limit=3))
    yield ground
    ground.database.close()


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A run of which seven samples were answered by a tiny model, three at a time, and one was withdrawn."""
    folder = tmp_path_factory.mktemp("replay")
    model = make_tiny_model(folder / "tiny")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "sliding_window": 256}))  # longer than the prompts
    ground = Ground(folder)
    ground.plan(MLX_RUN, found=find_model(str(model), home=ground.home))
    engine = open_engine(ground.config().model, folder=model, slots=3)
    engine.load()
    ground.execute("UPDATE worker SET lemfarm_version = :version", version=__version__)
    gone, *samples = ground.ids(limit=8)
    generate(ground, engine, samples, withdrawn=[gone])
    ground.ledger.release(gone, 1)
    engine.close()
    yield ground
    ground.database.close()


def test_an_answer_of_an_adapter_is_made_again_with_it_and_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a phase that the first one's adapter answers
    found = find_model(str(make_tiny_model(tmp_path / "tiny")))
    ground = Ground(tmp_path)
    ground.plan(PROMOTED_RUN, found=found)
    adapter = make_adapter(found, ground.home.ensure(ground.home.adapters), 0, 0.5, None)
    first, second = (row["id"] for row in ground.rows("SELECT id FROM phase ORDER BY position"))
    claim = claim_stage(ground.database, open_stage(ground.database, ground.run_id, first), "w", 90.0)
    assert claim is not None and finish_stage(ground.database, claim, adapter, ground.home.identity, {})
    settle_generators(ground.ledger, ground.run, ground.config())
    (sample,) = ground.ids(f"state = 'pending' AND phase_id = {second}", limit=1)
    engine = open_engine(ground.config().model, folder=found.folder, slots=1)
    engine.load()
    generate(ground, engine, [sample])
    engine.close()
    # Then it is made again from that adapter, and whoever asks is told
    again = replay(ground, sample)
    assert (again.adapter, again.parts_at) == (adapter.id, None)
    where = ("--home", ground.home.root, "--database", ground.database.url)
    for words in (("replay", sample), ("samples", "show", sample)):
        assert f"adapter {adapter.id}" in lemfarm(capsys, *words, *where).out
    ground.database.close()


def test_the_simulated_engine_repeats_itself(simulated: Ground) -> None:
    for sample in simulated.ids("state = 'done'"):
        found = replay(simulated, sample[:12])
        assert (found.identical, found.differences, found.sample) == (True, (), sample)
    assert replay(simulated, sample, strict=True).identical, "its answers do not depend on the batch"


def test_nothing_is_written(simulated: Ground) -> None:
    before = simulated.dump()
    replay(simulated, simulated.ids("state = 'done'")[0])
    assert simulated.dump() == before


def test_a_run_file_that_means_other_text_is_seen_in_the_answer(simulated: Ground) -> None:
    sample = simulated.ids("state = 'done'")[0]
    config = json.loads(simulated.value("SELECT config FROM run"))
    config["model"]["mean_tokens"] = 20
    simulated.execute("UPDATE run SET config = :config", config=json.dumps(config))
    found = replay(simulated, sample)
    assert (found.identical, found.expected) == (False, False), "nothing in the record says why"
    assert found.parts_at is not None


def test_the_first_token_that_differs_is_named_with_the_reasons(simulated: Ground) -> None:
    sample = simulated.ids("state = 'done'")[0]
    tokens = list(range(9))
    simulated.execute("UPDATE text SET token_ids = :t WHERE sample_id = :id", t=pack_tokens(tuple(tokens)), id=sample)
    simulated.execute("UPDATE text SET content = 'Something else.' WHERE sample_id = :id", id=sample)
    simulated.execute("UPDATE worker SET lemfarm_version = '0.0.1'")
    rewrite(simulated, sample, versions={"simulated": "0", "chip": "another"})
    found = replay(simulated, sample)
    assert (found.identical, found.parts_at, found.tokens, found.made_by) == (False, 0, 9, "w@h")
    assert found.stored == "Something else."
    then = {one.what: one.then for one in found.differences}
    assert then == {"chip": "another", "lemfarm": "0.0.1", "simulated": "0"}


def test_a_sample_without_an_answer_is_refused(simulated: Ground) -> None:
    with pytest.raises(InputError, match="is pending: only a done sample"):
        replay(simulated, simulated.ids()[0])
    with pytest.raises(NotFound, match="no sample"):
        replay(simulated, "zzz")


def test_an_answer_of_an_endpoint_is_refused(simulated: Ground) -> None:
    config = json.loads(simulated.value("SELECT config FROM run"))
    config["model"] = {"engine": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "m"}
    simulated.execute("UPDATE run SET config = :config", config=json.dumps(config))
    with pytest.raises(InputError, match="answered by an endpoint"):
        replay(simulated, simulated.ids("state = 'done'")[0])


def test_a_sample_of_the_runs_former_model_is_refused(simulated: Ground) -> None:
    simulated.execute("UPDATE run SET model_key = 'simulated:other'")
    with pytest.raises(InputError, match="was made with another model than simulated:other"):
        replay(simulated, simulated.ids("state = 'done'")[0])


@pytest.mark.mlx
def test_alone_a_sample_has_no_batch_mates(batch: Ground) -> None:
    """The kernels of MLX's CPU backend give the same bits in any batch, so here it is the same answer too."""
    sample = batch.ids("state = 'done'")[1]
    found = replay(batch, sample)
    assert found.identical
    assert [one.what for one in found.differences] == ["batch"]


@pytest.mark.mlx
def test_strict_makes_the_same_batch_again(batch: Ground) -> None:
    sample = batch.ids("state = 'done'")[3]
    made = record_of(batch, sample)
    assert 0 < made["batch_place"] < len(made["batch_mates"]), "some were there before it, some came after it"
    oldest = min(joined for joined, _ in made["batch_steps"])
    assert made["batch_depth"] > made["prompt_tokens"] - oldest, "and some had left before it"
    found = replay(batch, sample, strict=True)
    assert (found.identical, found.differences) == (True, ())


@pytest.mark.mlx
def test_the_record_says_when_each_joined_and_left(batch: Ground) -> None:
    gone = batch.ids("state = 'pending' AND epoch = 1")[0]
    first, second = batch.ids("state = 'done'")[:2]
    one, other = stays(batch, first), stays(batch, second)
    later = one[second][0]
    assert later == -other[first][0] > 0, "the second joined so many steps after the first"
    assert one[gone][0] == other[gone][0] + later <= 0
    assert one[gone][1] == other[gone][1] + later, "both saw the same sample leave at the same step"


@pytest.mark.mlx
def test_a_batch_that_cannot_be_made_again_is_said_so(batch: Ground) -> None:
    sample = batch.ids("state = 'done'")[0]
    made = record_of(batch, sample)
    rewrite(batch, sample, batch_steps=[[joined, 900] for joined, _ in made["batch_steps"]])
    found = replay(batch, sample, strict=True)
    rewrite(batch, sample, **made)
    assert [one.what for one in found.differences] == ["batch"]


@pytest.mark.mlx
def test_batches_that_were_not_recorded_are_refused(batch: Ground) -> None:
    sample = batch.ids("state = 'done'")[0]
    made = record_of(batch, sample)
    rewrite(batch, sample, batch_steps=[])
    with pytest.raises(InputError, match="leave --strict out"):
        replay(batch, sample, strict=True)
    assert replay(batch, sample).identical
    rewrite(batch, sample, **made)


@pytest.mark.mlx
def test_a_model_that_is_not_the_one_is_refused(batch: Ground) -> None:
    sample = batch.ids("state = 'done'")[0]
    right = batch.value("SELECT content_hash FROM model")
    batch.execute("UPDATE model SET content_hash = 'b2:another'")
    with pytest.raises(ModelError, match=r"the run began with b2:another.* made by w@h: it can be replayed there"):
        replay(batch, sample)
    batch.execute("UPDATE model SET content_hash = :right", right=right)


def test_by_hand(simulated: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    sample = simulated.ids("state = 'done'")[0]
    where = ("--home", simulated.home.root, "--database", simulated.database.url)
    same = lemfarm(capsys, "replay", sample[:10], *where)
    assert (same.code, same.out.startswith("identical  P0 v0 #0")) == (0, True), same.err
    simulated.execute("UPDATE text SET content = 'Some [other] words.' WHERE sample_id = :id", id=sample)
    rewrite(simulated, sample, versions={"simulated": "0"})
    differs = lemfarm(capsys, "replay", sample, *where)
    assert differs.code == 1
    for part in ("differs", "Some [other] words.", "to be expected: it was made by w@h", "simulated 0 -> 1"):
        assert part in differs.out, part
    data = lemfarm(capsys, "replay", sample, *where, "--json").data
    assert (data["kind"], data["expected"], data["replay"]["identical"]) == ("replay", True, False)
    assert lemfarm(capsys, "replay", "zzz", *where).code == 2
