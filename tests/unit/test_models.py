"""Finding a model, naming it by its content, and refusing what is not whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lemfarm.errors import ModelError, ModelMismatch
from lemfarm.home import Home
from lemfarm.models import (
    check_architecture,
    convert_model,
    find_model,
    get_model,
    is_hub_id,
    model_files,
    model_key,
    verify_model,
)

COMMIT = "a" * 40


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def make_model(folder: Path, *, weights: bytes = b"weights", **config: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "gemma3_text", **config}))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def make_cached(hub: Path, name: str = "owner/model", commit: str = COMMIT) -> Path:
    """A model in the layout of the hub's cache."""
    repository = hub / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    return make_model(repository / "snapshots" / commit)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty local cache of the hub."""
    from huggingface_hub import constants

    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    return folder


def test_a_folder_is_named_by_its_content_wherever_it_lies(tmp_path: Path, home: Home) -> None:
    one = find_model(str(make_model(tmp_path / "one")), home=home)
    two = find_model(str(make_model(tmp_path / "two")), home=home)
    other = find_model(str(make_model(tmp_path / "other", weights=b"other")), home=home)
    assert one.content_hash == two.content_hash != other.content_hash
    assert one.content_hash.startswith("b2:")
    assert one.commit is None


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "generation_config.json", "chat_template.jinja"])
def test_every_file_that_changes_the_output_changes_the_name(tmp_path: Path, home: Home, name: str) -> None:
    folder = make_model(tmp_path / "model")
    before = find_model(str(folder), home=home)
    (folder / name).write_text('{"model_type": "gemma3_text", "changed": true}')
    assert find_model(str(folder), home=home).content_hash != before.content_hash


def test_files_that_no_loader_reads_do_not_change_the_name(tmp_path: Path, home: Home) -> None:
    folder = make_model(tmp_path / "model")
    before = find_model(str(folder), home=home)
    (folder / "README.md").write_text("a card")
    (folder / "consolidated.pth").write_text("the same weights for others")
    assert find_model(str(folder), home=home) == before


def test_weights_are_hashed_once(tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_model(tmp_path / "model")
    first = find_model(str(folder), home=home)
    monkeypatch.setattr("lemfarm.models.file_hash", lambda path: pytest.fail(f"{path} was read again"))
    assert find_model(str(folder), home=home) == first


def test_a_file_touched_with_new_content_is_hashed_again(tmp_path: Path, home: Home) -> None:
    folder = make_model(tmp_path / "model", weights=b"weights")
    first = find_model(str(folder), home=home)
    (folder / "model.safetensors").write_bytes(b"WEIGHTS")
    os.utime(folder / "model.safetensors", ns=(1, 1))
    assert find_model(str(folder), home=home).content_hash != first.content_hash


@pytest.mark.parametrize("damage", ["not json", "[]", '{"x": 5}'])
def test_a_damaged_memory_of_hashes_is_forgotten(tmp_path: Path, home: Home, damage: str) -> None:
    folder = make_model(tmp_path / "model")
    first = find_model(str(folder), home=home)
    (home.root / "models.json").write_text(damage)
    assert find_model(str(folder), home=home) == first


def test_a_home_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    folder = make_model(tmp_path / "model")
    assert find_model(str(folder), home=Home(tmp_path / "file")).folder == folder


def test_a_hub_id_is_found_in_the_cache_with_its_commit(hub: Path, home: Home) -> None:
    folder = make_cached(hub)
    found = find_model("owner/model", home=home)
    assert (found.folder, found.commit) == (folder, COMMIT)
    assert find_model("owner/model", revision=COMMIT, home=home) == found


def test_a_hub_id_that_is_not_here_says_how_to_get_it(hub: Path, home: Home) -> None:
    with pytest.raises(ModelError, match="lemfarm model get owner/model`"):
        find_model("owner/model", home=home)
    make_cached(hub)
    with pytest.raises(ModelError, match=r"at v2 is not on this machine.*get owner/model --revision v2"):
        find_model("owner/model", revision="v2", home=home)


def test_a_mapped_folder_stands_for_a_hub_id(tmp_path: Path, hub: Path, home: Home) -> None:
    folder = make_model(tmp_path / "copy")
    found = find_model("owner/model", mapping={"owner/model": folder}, home=home)
    assert (found.name, found.folder, found.commit) == ("owner/model", folder, None)
    assert found.content_hash == find_model(str(make_cached(hub)), home=home).content_hash
    with pytest.raises(ModelError, match=r"--model owner/model=.*no folder"):
        find_model("owner/model", mapping={"owner/model": tmp_path / "nowhere"}, home=home)


def test_a_folder_that_is_no_whole_model_is_refused(tmp_path: Path, home: Home) -> None:
    with pytest.raises(ModelError, match="there is no folder"):
        find_model(str(tmp_path / "nothing"), home=home)
    folder = make_model(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no weights"):
        find_model(str(folder), home=home)
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"no config\.json"):
        find_model(str(folder), home=home)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"model_type": 5}', "\udcff"])
def test_an_unreadable_configuration_is_refused(tmp_path: Path, home: Home, text: str) -> None:
    folder = make_model(tmp_path / "model")
    (folder / "config.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ModelError, match=r"config\.json"):
        find_model(str(folder), home=home)


def test_a_missing_shard_is_named(tmp_path: Path, home: Home) -> None:
    folder = make_model(tmp_path / "model")
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=r"model-00002-of-00002\.safetensors is missing"):
        find_model(str(folder), home=home)
    (folder / "model-00002-of-00002.safetensors").write_bytes(b"more")
    assert "model-00002-of-00002.safetensors" in [path.name for path in model_files(folder)]


def test_the_key_of_a_model(tmp_path: Path, home: Home) -> None:
    found = find_model(str(make_model(tmp_path / "model")), home=home)
    assert model_key(found.name, found) == found.content_hash
    assert model_key("owner/model", None) == "hub:owner/model"
    assert model_key("owner/model", None, "v2") == "hub:owner/model@v2"
    with pytest.raises(ModelError, match="not on this machine"):
        model_key("/models/mine", None)


def test_a_folder_wins_over_a_hub_id(tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_hub_id("models/demo")
    make_model(tmp_path / "models" / "demo")
    assert not is_hub_id("models/demo")
    assert model_key("models/demo", find_model("models/demo", home=home)).startswith("b2:")


def test_other_weights_than_the_runs_are_refused_with_both_hashes(tmp_path: Path, home: Home) -> None:
    found = find_model(str(make_model(tmp_path / "model")), home=home)
    verify_model(found, found.content_hash)
    with pytest.raises(ModelMismatch, match=f"{found.content_hash}, the run began with b2:0{'0' * 31}.*--model"):
        verify_model(found, f"b2:{'0' * 32}")


@pytest.mark.parametrize(
    ("model_type", "module"), [("gemma3_text", "gemma3_text"), ("mistral", "llama"), ("qwen2_5_vl", "qwen2_vl")]
)
def test_architectures_that_mlx_lm_knows_by_their_own_or_another_name(
    tmp_path: Path, model_type: str, module: str
) -> None:
    assert check_architecture(make_model(tmp_path / "model", model_type=model_type)) == module


def test_the_architecture_decides_where_mlx_lm_says_so(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model", model_type="bailing_hybrid", architectures=["BailingMoeV3ForCausalLM"])
    assert check_architecture(folder) == "bailing_moe_v3"


def test_an_unknown_architecture_and_foreign_code_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'perceptron' is not supported"):
        check_architecture(make_model(tmp_path / "a", model_type="perceptron"))
    with pytest.raises(ModelError, match=r"its own code \(mine\.py\)"):
        check_architecture(make_model(tmp_path / "b", model_file="mine.py"))


def test_looking_at_a_model_imports_neither_mlx_nor_the_hub(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model")
    program = (
        "import sys; from pathlib import Path; from lemfarm.home import Home;"
        "from lemfarm.models import check_architecture, find_model;"
        f"f = find_model({str(folder)!r}, home=Home(Path({str(tmp_path)!r}))); check_architecture(f.folder);"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'mlx', 'mlx_lm', 'transformers', 'huggingface_hub'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_download_without_network_says_so_and_what_to_do(tmp_path: Path) -> None:
    program = (
        "from lemfarm.errors import Unavailable; from lemfarm.models import get_model\n"
        "try: get_model('owner/model', progress=print)\n"
        "except Unavailable as error: print(error.exit_code, error)"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9", "NO_PROXY": "*"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=300
    )
    assert "fetching owner/model" in done.stdout
    assert "4 model owner/model cannot be fetched: " in done.stdout
    assert "--model owner/model=FOLDER" in done.stdout


def test_a_download_needs_a_hub_id() -> None:
    with pytest.raises(ModelError, match="not a hub id"):
        get_model("just-a-name")


def test_a_conversion_never_writes_into_a_folder_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="exists already"):
        convert_model("owner/model", tmp_path)


def test_a_conversion_that_fails_tells_what_mlx_lm_said(tmp_path: Path) -> None:
    source = make_model(tmp_path / "model", weights=b"")
    with pytest.raises(ModelError, match=r"could not be converted: RuntimeError: .*Unable to read"):
        convert_model(str(source), tmp_path / "converted")
