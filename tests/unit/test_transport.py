"""The transport over Kombu's private `_create_client`: still asked for clients, and a new one only when it is due."""

import ssl
from contextlib import ExitStack
from typing import Any

import pytest
from kombu import Connection

from lemfarm.broker import SETTINGS, make_app
from lemfarm.transport import Channel, Transport

URL = "redis://user:secret@127.0.0.1:1/0"


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A channel that has not connected; Kombu pings the server when it makes one."""
    monkeypatch.setattr(Channel, "_create_client", lambda self, asynchronous=False: _Pinged())
    with Connection(URL, transport=SETTINGS["broker_transport"]) as connection:
        made = connection.channel()
        monkeypatch.undo()
        yield made
        made._disconnect_pools()


class _Pinged:
    def ping(self) -> bool:
        return True


def test_the_farm_talks_to_its_broker_through_it() -> None:
    with make_app(URL).connection_for_write() as connection:
        assert isinstance(connection.transport, Transport)
        assert connection.transport.driver_type == "redis"
        assert "secret" not in connection.as_uri()


def test_encryption_is_asked_for_as_the_url_says() -> None:
    with make_app("rediss://:pw@head:6380/0?ssl_cert_reqs=required").connection_for_write() as connection:
        assert connection.ssl["ssl_cert_reqs"] == ssl.CERT_REQUIRED


def test_kombu_borrows_one_client_again_and_again(channel: Any) -> None:
    with ExitStack() as stack:
        first, second = (stack.enter_context(channel.conn_or_acquire()) for _ in range(2))

    assert first is second


def test_a_pool_that_was_given_up_takes_its_client_with_it(channel: Any) -> None:
    with channel.conn_or_acquire() as first:
        pool = first.connection_pool
    channel._disconnect_pools()

    with channel.conn_or_acquire() as second:
        assert second is not first
        assert second.connection_pool is not pool


def test_blocking_reads_have_clients_of_their_own(channel: Any) -> None:
    with channel.conn_or_acquire() as shared:
        assert channel._create_client(asynchronous=True) is not shared
