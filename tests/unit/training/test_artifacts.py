"""Adapters on their way between machines: whole or not at all, and verified on arrival."""

import io
import json
import struct
import tarfile
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lemfarm.errors import InputError, ModelError, Unavailable
from lemfarm.home import Home
from lemfarm.training.adapters import CONFIG, MANIFEST, WEIGHTS, seal, verify
from lemfarm.training.artifact_server import ArtifactServer
from lemfarm.training.artifact_service import find_running, open_server
from lemfarm.training.artifacts import NOBODY, ArtifactStore, FolderStore, HttpStore, fetch, open_store, pack, share


def adapter(adapters: Path, mark: int = 1) -> Path:
    """A finished adapter of one small tensor, under its name."""
    draft = adapters / "draft"
    draft.mkdir(parents=True)
    header = json.dumps({"lora_a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}).encode()
    (draft / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header + bytes([mark] * 4))
    (draft / CONFIG).write_text('{"rank": 4}')
    return draft.rename(adapters / seal(draft, job="j", dataset="d").id)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The adapters of the machine that trained."""
    return tmp_path / "here"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """Those of another one."""
    return tmp_path / "there"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ArtifactServer]:
    with ArtifactServer(Home(tmp_path / "head"), address="127.0.0.1", port=0) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture(params=["folder", "http"])
def store(request: pytest.FixtureRequest, tmp_path: Path, server: ArtifactServer) -> ArtifactStore:
    if request.param == "http":
        return HttpStore(server.url, server.token)
    (tmp_path / "share").mkdir()
    return open_store(str(tmp_path / "share"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_adapter_arrives_as_it_left(store: ArtifactStore, here: Path, there: Path) -> None:
    folder = adapter(here)
    assert not store.has(folder.name)
    assert share(folder, store).id == folder.name
    assert store.has(folder.name)
    found = fetch(folder.name, store, there)
    assert found == there / folder.name
    assert verify(found) == verify(folder)
    assert names(found) == names(folder)
    assert names(here) == names(there) == [folder.name], "no drafts are left"


def test_bringing_it_twice_changes_nothing(store: ArtifactStore, here: Path) -> None:
    folder = adapter(here)
    share(folder, store)
    share(folder, store)
    assert store.has(folder.name)


def test_what_is_not_there_is_no_error(store: ArtifactStore, there: Path) -> None:
    assert fetch(NOBODY, store, there) is None
    assert names(there) == []


def test_a_damaged_adapter_is_not_brought(store: ArtifactStore, here: Path) -> None:
    folder = adapter(here)
    (folder / WEIGHTS).write_bytes(b"damaged")
    with pytest.raises(ModelError, match="was changed"):
        share(folder, store)
    assert not store.has(folder.name)


def test_an_archive_of_another_adapter_never_gets_the_name(tmp_path: Path, here: Path, there: Path) -> None:
    # Given a shared folder in which somebody renamed an archive
    (tmp_path / "share").mkdir()
    store, folder = FolderStore(tmp_path / "share"), adapter(here)
    share(folder, store)
    (tmp_path / "share" / f"{folder.name}.tar").rename(tmp_path / "share" / f"{NOBODY}.tar")
    # Then it is refused on arrival, and nothing is left of it
    with pytest.raises(ModelError, match=f"archive of adapter {NOBODY} holds {folder.name}"):
        fetch(NOBODY, store, there)
    assert names(there) == []


@pytest.mark.parametrize("keep", [0, 600, 2000])
def test_a_torn_archive_is_refused(tmp_path: Path, here: Path, there: Path, keep: int) -> None:
    (tmp_path / "share").mkdir()
    store, folder = FolderStore(tmp_path / "share"), adapter(here)
    share(folder, store)
    archive = tmp_path / "share" / f"{folder.name}.tar"
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(ModelError):
        fetch(folder.name, store, there)
    assert names(there) == []


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "sub/evil", ".hidden", ""])
def test_an_archive_cannot_write_elsewhere(tmp_path: Path, there: Path, name: str) -> None:
    (tmp_path / "share").mkdir()
    with tarfile.open(tmp_path / "share" / f"{NOBODY}.tar", "w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"evil"))
    with pytest.raises(ModelError, match="no plain file"):
        fetch(NOBODY, FolderStore(tmp_path / "share"), there)
    assert not (tmp_path / "evil").exists()


def test_an_archive_cannot_hold_links(tmp_path: Path, there: Path) -> None:
    (tmp_path / "share").mkdir()
    with tarfile.open(tmp_path / "share" / f"{NOBODY}.tar", "w") as tar:
        entry = tarfile.TarInfo(MANIFEST)
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(entry)
    with pytest.raises(ModelError, match="no plain file"):
        fetch(NOBODY, FolderStore(tmp_path / "share"), there)


def test_equal_adapters_make_equal_archives(tmp_path: Path, here: Path, there: Path) -> None:
    for number, folder in enumerate((adapter(here), adapter(there))):
        pack(folder, tmp_path / str(number))
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes()


# ---- places


def test_a_folder_that_is_not_mounted_is_away(tmp_path: Path, there: Path) -> None:
    store = FolderStore(tmp_path / "nowhere")
    with pytest.raises(Unavailable, match="mount it"):
        store.has(NOBODY)
    with pytest.raises(Unavailable, match="mount it"):
        fetch(NOBODY, store, there)


@pytest.mark.parametrize("place", ["ftp://head", "http://", "http://u:p@head:1", "http://head/path"])
def test_a_place_that_is_no_store_is_refused(place: str) -> None:
    with pytest.raises(InputError, match="artifact store"):
        open_store(place)


def test_a_server_that_is_gone_is_away(server: ArtifactServer) -> None:
    server.server_close()
    with pytest.raises(Unavailable, match=r"Is `lemfarm artifacts` running there\?"):
        HttpStore(server.url, server.token).has(NOBODY)


# ---- the server


@pytest.mark.parametrize("token", [None, "", "wrong", "ünicode"])
def test_without_the_token_nothing_is_given_or_taken(server: ArtifactServer, here: Path, token: str | None) -> None:
    folder, store = adapter(here), HttpStore(server.url, token if token != "ünicode" else "\xfcnicode")
    for ask in (lambda: store.has(folder.name), lambda: share(folder, store)):
        with pytest.raises(InputError, match="LEMFARM_ARTIFACTS_TOKEN"):
            ask()
    assert not list(server.folder.glob("*.tar"))


def test_the_token_is_kept_for_the_next_start_and_from_others(server: ArtifactServer) -> None:
    path = server.folder / "secrets.json"
    assert path.stat().st_mode & 0o077 == 0
    home = Home(server.folder.parent)
    with ArtifactServer(home, address="127.0.0.1", port=0) as again:
        assert again.token == server.token


def asked(server: ArtifactServer, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    address = urlsplit(server.url)
    connection = HTTPConnection(str(address.hostname), address.port, timeout=10)
    connection.request(method, path, body=body, headers={"Authorization": f"Bearer {server.token}", **headers})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_the_server_takes_only_what_is_what_its_name_says(server: ArtifactServer, here: Path, tmp_path: Path) -> None:
    pack(adapter(here), tmp_path / "archive")
    status, said = asked(server, "PUT", f"/adapters/{NOBODY}", (tmp_path / "archive").read_bytes())
    assert status == 422
    assert NOBODY.encode() in said
    assert asked(server, "PUT", f"/adapters/{NOBODY}", b"no archive")[0] == 422
    assert not list(server.folder.glob("*.tar"))
    assert names(server.folder) == ["secrets.json"], "no drafts are left"


@pytest.mark.parametrize(
    "path", ["/", "/adapters/", "/adapters/../secrets.json", "/secrets.json", f"/adapters/{NOBODY}x"]
)
def test_the_server_knows_no_place_but_adapters(server: ArtifactServer, path: str) -> None:
    assert asked(server, "GET", path)[0] == 404


def test_the_server_wants_to_know_how_much_comes(server: ArtifactServer) -> None:
    large = {"Content-Length": str(1 << 50)}
    assert asked(server, "PUT", f"/adapters/{NOBODY}", **large)[0] == 413
    assert asked(server, "PUT", f"/adapters/{NOBODY}", **{"Content-Length": "many"})[0] == 411


def test_one_server_serves_a_home_and_is_found_while_it_does(tmp_path: Path) -> None:
    home = Home(tmp_path / "head")
    assert find_running(home) is None
    with open_server(home, "127.0.0.1", 0) as server:
        found = find_running(home)
        assert found is not None and found.url == server.url
        with pytest.raises(InputError, match="served from here already"), open_server(home, "127.0.0.1", 0):
            pass
    assert find_running(home) is None
