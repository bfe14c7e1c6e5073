"""The embedded Valkey and the queue in it: a real server, started, killed, refused and found again."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from redis.exceptions import AuthenticationError, NoPermissionError

from lemfarm import valkey
from lemfarm.broker import (
    QueuedSample,
    ensure_nonce,
    generate_queue,
    make_app,
    open_client,
    ping,
    queue_length,
    send_generate,
    send_train,
    train_queue,
)
from lemfarm.connections import free_port
from lemfarm.errors import BrokerDown, InputError, NoSpace
from lemfarm.home import Home
from lemfarm.locks import wait_until
from lemfarm.supervisor import Supervisor

SECONDS = 30.0
QUEUE = generate_queue("b2:" + "0123456789abcdef" * 2)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    place = Home(tmp_path / 'a "home" of one')  # a path that a configuration file must quote
    yield place
    valkey.stop(place, grace_seconds=5.0)


@pytest.fixture
def server(home: Home) -> valkey.EmbeddedValkey:
    return valkey.start(home)


def rows(count: int) -> list[QueuedSample]:
    return [QueuedSample(f"{number:032x}", QUEUE, f"P{number:02} v1 #0") for number in range(count)]


def kill(server: valkey.EmbeddedValkey, home: Home) -> None:
    os.kill(server.pid, signal.SIGKILL)
    assert wait_until(lambda: not valkey.is_running(home), SECONDS)


def test_a_second_start_on_one_folder_is_refused(home: Home, server: valkey.EmbeddedValkey) -> None:
    with pytest.raises(valkey.AlreadyRunning, match=f"process {server.pid}"):
        valkey.start(home)
    ping(server.url)


def test_later_commands_find_the_server(home: Home) -> None:
    assert valkey.find_running(home) is None
    started = valkey.start(home)
    assert valkey.find_running(home) == started
    assert valkey.ensure(home) == started


def test_two_commands_at_once_get_one_server(home: Home) -> None:
    code = "import sys, lemfarm.valkey as v; from lemfarm.home import Home; from pathlib import Path; "
    code += "sys.stdout.write(str(v.ensure(Home(Path(sys.argv[1]))).pid))"
    command = [sys.executable, "-c", code, str(home.root)]
    commands = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    pids = {each.communicate(timeout=SECONDS)[0] for each in commands}
    assert [each.returncode for each in commands] == [0, 0, 0]
    found = valkey.find_running(home)
    assert found is not None
    assert pids == {str(found.pid)}


def test_after_a_kill_it_comes_back_on_its_port_with_its_messages(home: Home, server: valkey.EmbeddedValkey) -> None:
    app = make_app(server.url)
    send_generate(app, rows(700))
    with open_client(server.admin_url) as admin:  # written to disk at the latest a second later
        assert wait_until(lambda: admin.info("persistence")["aof_pending_bio_fsync"] == 0, SECONDS)
    kill(server, home)
    again = valkey.start(home)
    assert (again.port, again.url) == (server.port, server.url)
    assert again.pid != server.pid
    assert queue_length(app, QUEUE) == 700  # the application that was connected before goes on


def test_stopped_and_started_it_keeps_its_messages(home: Home, server: valkey.EmbeddedValkey) -> None:
    send_train(make_app(server.url), "stage", train_queue("b2:abc"), "1-deep-axiom")
    assert valkey.stop(home)
    assert not valkey.stop(home)
    assert valkey.find_running(home) is None
    assert queue_length(make_app(valkey.start(home).url), train_queue("b2:abc")) == 1


def test_a_stale_pid_file_that_names_a_stranger_harms_nobody(home: Home, server: valkey.EmbeddedValkey) -> None:
    kill(server, home)
    (home.valkey / "valkey.pid").write_text(f"{os.getpid()}\n")
    assert valkey.find_running(home) is None
    assert not valkey.stop(home)
    assert valkey.start(home).pid != os.getpid()


def test_its_port_taken_by_a_stranger_it_takes_another(home: Home, server: valkey.EmbeddedValkey) -> None:
    assert valkey.stop(home)
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", server.port))
        stranger.listen()
        again = valkey.start(home)
    assert again.port != server.port
    ping(again.url)


def test_a_server_that_hangs_is_reported_not_doubled(home: Home, server: valkey.EmbeddedValkey) -> None:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(BrokerDown, match="does not answer"):
            valkey.find_running(home, answer_seconds=0.1)
        with pytest.raises(InputError):
            valkey.start(home)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert valkey.find_running(home) == server


def test_a_server_that_hangs_can_be_stopped(home: Home, server: valkey.EmbeddedValkey) -> None:
    os.kill(server.pid, signal.SIGSTOP)
    assert valkey.stop(home, grace_seconds=0.0)
    assert not valkey.is_running(home)


def test_data_that_cannot_be_read_are_set_aside(home: Home, server: valkey.EmbeddedValkey) -> None:
    ensure_nonce(make_app(server.url))
    assert valkey.stop(home)
    [log] = (home.valkey / "data").rglob("*.incr.aof")
    log.write_text("no command of any kind\n")
    again = valkey.start(home)
    assert ensure_nonce(make_app(again.url))
    [aside] = home.valkey.glob("data.unreadable-*")
    assert list(aside.rglob("*.incr.aof"))


def test_a_password_is_demanded(server: valkey.EmbeddedValkey) -> None:
    for user in ("", "default:@", "farm:wrong@", "admin:wrong@"):
        with pytest.raises(BrokerDown, match="refuses this user or password"):
            ping(f"redis://{user}127.0.0.1:{server.port}/0")
    with pytest.raises(AuthenticationError), open_client(f"redis://127.0.0.1:{server.port}/0") as nobody:
        nobody.get("key")


@pytest.mark.parametrize("command", ["FLUSHALL", "FLUSHDB", "KEYS *", "CONFIG GET *", "SHUTDOWN", "ACL LIST"])
def test_a_worker_may_not_empty_or_administer_the_queue(server: valkey.EmbeddedValkey, command: str) -> None:
    with open_client(server.url) as farm, pytest.raises(NoPermissionError):
        farm.execute_command(*command.split())


def test_the_admin_may_empty_the_queue_and_the_farm_notices(server: valkey.EmbeddedValkey) -> None:
    app = make_app(server.url)
    assert ensure_nonce(app)
    assert not ensure_nonce(app)
    send_generate(app, rows(3))
    with open_client(server.admin_url) as admin:
        admin.flushall()
    assert queue_length(app, QUEUE) == 0
    assert ensure_nonce(app)
    assert not ensure_nonce(app)
    assert send_generate(app, rows(3)) == 3
    assert queue_length(app, QUEUE) == 3


def test_no_password_stands_in_argv_or_in_a_file_for_others(home: Home, server: valkey.EmbeddedValkey) -> None:
    password = server.url.split(":")[2].split("@")[0]
    assert len(password) >= 24
    assert not any(password in argument for argument in psutil.Process(server.pid).cmdline())
    holders = [
        path for path in home.valkey.rglob("*") if path.is_file() and password in path.read_text(errors="replace")
    ]
    assert [path.name for path in holders] == ["secrets.json"]
    assert stat.S_IMODE(holders[0].stat().st_mode) == 0o600


def test_it_listens_on_loopback_only_and_in_a_session_of_its_own(server: valkey.EmbeddedValkey) -> None:
    listening = [c for c in psutil.Process(server.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert {connection.laddr.ip for connection in listening} == {"127.0.0.1"}
    assert os.getsid(server.pid) not in (os.getsid(0), os.getpid())


def test_secrets_that_others_can_read_are_refused(home: Home, server: valkey.EmbeddedValkey) -> None:
    assert valkey.stop(home)
    (home.valkey / "secrets.json").chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        valkey.ensure(home)


def test_a_supervisor_restarts_it_and_stops_it(home: Home) -> None:
    supervisor = Supervisor([], services=[valkey.KeptValkey(home, leave_running=False)], first_pause_seconds=0.0)
    supervisor.start()
    first = valkey.find_running(home)
    assert first is not None
    kill(first, home)
    assert wait_until(lambda: "restarted" in [event.kind for event in supervisor.poll()], SECONDS)
    second = valkey.find_running(home)
    assert second is not None
    assert (second.port, second.pid) != (first.port, first.pid)
    assert second.url == first.url
    assert supervisor.stop(grace_seconds=SECONDS)
    assert not valkey.is_running(home)


def test_a_supervisor_leaves_it_running_when_asked(home: Home) -> None:
    supervisor = Supervisor([], services=[valkey.KeptValkey(home, leave_running=True)])
    supervisor.start()
    assert supervisor.stop(grace_seconds=SECONDS)
    assert valkey.find_running(home) is not None


def test_a_home_that_cannot_be_written_is_no_space(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NoSpace, match="LEMFARM_HOME"):
        valkey.start(Home(tmp_path / "file" / "home"))


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("# Write error writing append only file on disk: No space left on device", NoSpace),
        ("# Can't open or create append-only dir appendonlydir: Permission denied", NoSpace),
        ("# Can't open the append-only file x: Read-only file system", NoSpace),
        ("# Can't open or create append-only dir appendonlydir: Not a directory", BrokerDown),
        ("", BrokerDown),
    ],
)
def test_what_the_server_says_at_its_end_becomes_the_error(tmp_path: Path, said: str, kind: type) -> None:
    error = valkey.explain_refusal(tmp_path, said)
    assert type(error) is kind
    assert str(tmp_path) in str(error)


def test_a_refused_start_is_explained_from_the_log(home: Home, server: valkey.EmbeddedValkey) -> None:
    assert valkey.stop(home)
    shutil.rmtree(home.valkey / "data" / "appendonlydir")
    (home.valkey / "data" / "appendonlydir").write_text("")
    with pytest.raises(BrokerDown, match="Not a directory"):
        valkey.start(home)
    assert not valkey.is_running(home)


def test_a_broker_that_is_down_is_named_without_its_password() -> None:
    url = f"redis://farm:secret@127.0.0.1:{free_port()}/0"
    app = make_app(url)
    app.conf.broker_connection_timeout = 0.1  # seconds of trying again; 4 by default
    for attempt in (
        lambda: ping(url),
        lambda: send_generate(app, rows(1)),
        lambda: queue_length(app, QUEUE),
        lambda: ensure_nonce(app),
    ):
        with pytest.raises(BrokerDown, match=r"farm:\*\*\*@127") as caught:
            attempt()
        assert "secret" not in str(caught.value)


def test_an_error_of_the_reader_is_not_taken_for_one_of_the_broker(server: valkey.EmbeddedValkey) -> None:
    def reader() -> Iterator[QueuedSample]:
        yield from rows(1)
        raise OSError("the database went away")

    app = make_app(server.url)
    with pytest.raises(OSError, match="the database went away"):
        send_generate(app, reader())
    assert queue_length(app, QUEUE) == 0


def test_queue_names_tell_models_and_homes_apart() -> None:
    assert QUEUE == "generate.0123456789"
    assert generate_queue("b2:0123456789abcdef", "0198aabbccddeeff") == "generate.0123456789.at.aabbccddeeff"
    assert train_queue("b2:0123456789abcdef", "0198aabbccddeeff") == "train.0123456789.at.aabbccddeeff"
