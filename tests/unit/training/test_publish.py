"""What is published and how: the files, the page with its evaluation, and a hub on a real socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lemfarm.errors import InputError, ModelError, Unavailable
from lemfarm.hub import Parcel, upload
from lemfarm.training.chosen import choose_adapter
from lemfarm.training.publish import evaluations_of, prepare
from tests.finished_run import FinishedRun
from tests.hub import TOKEN, Hub, hub

pytestmark = pytest.mark.mlx


@pytest.fixture(scope="module")
def run(model: Path, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    made = FinishedRun(tmp_path_factory.mktemp("farm"), model)
    adapter = made.train()
    made.measure("", [10.0, 11.0, 12.0, 13.0, 14.0, 15.0])
    made.measure(adapter, [12.0, 13.5, 14.0, 15.0, 16.0, 17.5], degenerate=1)
    made.measure(adapter, [20.0, 22.0], split="trained")
    return made


@pytest.fixture
def release(run: FinishedRun) -> Parcel:
    return prepare_adapter(run, licence="gemma")


def prepare_adapter(run: FinishedRun, **options: str | None) -> Parcel:
    chosen = choose_adapter(run.ground.database, None)
    folder = run.home.adapters / chosen.id
    return prepare("ours/tiny-lek", folder, run.ground.database, adapter=chosen.origin, **options)  # type: ignore[arg-type]


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.address)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield found


def test_an_adapter_is_published_with_its_manifest_and_its_page(release: Parcel) -> None:
    names = ["README.md", "adapter_config.json", "adapters.safetensors", "manifest.json"]
    assert list(release.sizes) == names
    assert release.sizes["README.md"] == len(release.card.encode())


def test_measured_models_stand_beside_the_untrained_one_of_the_same_run(run: FinishedRun) -> None:
    held_out, trained = evaluations_of(run.ground.database, run.adapters[0])
    assert held_out.change is not None
    assert held_out.change.mean == pytest.approx(13 / 6)
    assert (held_out.tuned.degenerate, held_out.tuned.interval.n) == (1, 6)
    assert trained.base is None and trained.change is None


def test_everything_is_sent_in_one_commit(run: FinishedRun, release: Parcel, there: Hub) -> None:
    address = upload(release, private=True)
    assert address == f"{there.address}/ours/tiny-lek"
    (created,) = there.created
    assert (created["name"], created["organization"], created["visibility"]) == ("tiny-lek", "ours", "private")
    sent = {name: path.read_bytes() for name, path in release.files.items()}
    assert there.files == sent | {"README.md": release.card.encode()}
    assert there.said == [f"Adapter {run.adapters[0]}"]
    assert there.kinds == {"models"}
    assert there.tokens == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [(401, InputError, "refuses this token"), (403, InputError, "may not write"),
     (400, InputError, "You may not do that"), (501, Unavailable, "fails")],
)  # fmt: skip
def test_a_hub_that_refuses_is_told_without_the_token(
    status: int, error: type[Exception], says: str, release: Parcel, there: Hub
) -> None:
    there.refuse = status
    with pytest.raises(error, match=says) as raised:
        upload(release, private=False)
    assert TOKEN not in str(raised.value)


def test_a_hub_that_is_away_can_be_tried_later(release: Parcel, there: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(Unavailable, match="does not answer"):
        upload(release, private=False)


def test_nothing_is_sent_without_a_token(
    release: Parcel, there: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(InputError, match="no token for the hub"):
        upload(release, private=False)
    assert there.created == []


def test_nothing_is_sent_without_a_licence(run: FinishedRun, there: Hub) -> None:
    with pytest.raises(InputError, match="--license"):
        upload(prepare_adapter(run), private=False)
    assert there.created == []


@pytest.mark.parametrize(("repo", "base"), [("tiny", None), ("a/b/c", None), ("a/b c", None), ("a/b", "no-owner")])
def test_a_name_that_no_hub_takes_is_refused(repo: str, base: str | None, run: FinishedRun, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--base-model" if base else "--to"):
        prepare(repo, tmp_path, run.ground.database, base_model=base)


def test_a_folder_that_fuse_did_not_make_is_refused(run: FinishedRun, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="`lemfarm fuse` did not make"):
        prepare("a/b", tmp_path, run.ground.database)


def test_an_own_page_is_taken_as_it_is(run: FinishedRun) -> None:
    page = "---\nlicense: gemma\n---\n# Ours\n"
    assert prepare_adapter(run, card=page).card == page
