"""Kombu's transport for Redis with one client for each pool of connections, where Kombu makes one for every command.

A new client copies some two hundred entries, a tenth of a millisecond; a sample needs three (take the message, report,
acknowledge), which was a fifth of all that Celery cost. A client over a pool may be shared by threads. What goes over
the wire is unchanged, so Flower and `celery inspect` need not know.

A worker at rest asks again every three seconds instead of every second; a message ends the wait at once. Longer waits
would delay how soon a half-open connection is noticed, which takes this time and twice `health_check_interval`.
"""

from typing import Any

from kombu.transport import redis
from redis.exceptions import ResponseError


class Channel(redis.Channel):  # type: ignore[misc]
    """Keeps its client as long as its pool of connections lives; a broken one is replaced with its pool."""

    _kept_client: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:  # these own a connection each, and are kept by Kombu itself
            return super()._create_client(asynchronous=True)
        if self._kept_client is None or self._kept_client.connection_pool is not self.pool:
            self._kept_client = super()._create_client()
        return self._kept_client


class Transport(redis.Transport):  # type: ignore[misc]
    """Named by `lemfarm.broker` in Celery's settings."""

    Channel = Channel
    brpop_timeout = 3
    #: A server whose disk is full answers every write with an error. Celery ends a worker for that, but waits for a
    #: server that is away: it is the same here, for there will be room again.
    connection_errors = (*redis.Transport.connection_errors, ResponseError)
