"""The queue: a Celery application whose settings were measured, and what is sent through it.

A message carries one id and is a hint: the rows of the database say what is to be done, so a message may be lost,
doubled or late without harm. The figures behind the settings: a socket without timeout never notices a half-open
connection (a worker stayed deaf 150 s after the network was back, against 10-20 s); the default sweep for messages of
dead workers takes 100 s; a visibility timeout cannot be a claim, because a task that outlives it is delivered again.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uuid_utils

from lemfarm.connections import redacted
from lemfarm.errors import BrokerDown, NoSpace
from lemfarm.identity import PREFIX, content_hash, short

if TYPE_CHECKING:  # Celery takes a third of a second to import; commands that send nothing must not wait for it.
    from celery import Celery
    from redis import Redis

GENERATE_TASK = "generate"
TRAIN_TASK = "train"
NONCE_KEY = "lemfarm:nonce"

_MESSAGES_PER_ROUND_TRIP = 500
_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 10

SETTINGS: dict[str, Any] = {
    "broker_transport": "lemfarm.transport:Transport",
    "task_ignore_result": True,  # results are rows of the database
    "task_serializer": "json",
    "result_serializer": "json",
    "event_serializer": "json",
    "accept_content": ["json"],  # a pickled message would run the sender's code
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
    "task_send_sent_event": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "broker_transport_options": {
        "visibility_timeout": 3600,  # seconds; sweeps up after dead workers, claims are leases in the database
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "socket_timeout": _ANSWER_SECONDS,
        "socket_connect_timeout": _CONNECT_SECONDS,
        "socket_keepalive": True,
        "health_check_interval": 5,
    },
}


@dataclass(frozen=True, slots=True)
class QueuedSample:
    """One message to be: the id of its row, its queue, what a person reads (`P01_IDENTITY_WHISTLEBLOWER v2 #7`)."""

    sample_id: str
    queue: str
    label: str


def make_app(url: str) -> "Celery":
    """The Celery application of one farm. It connects when first used, never here."""
    from celery import Celery

    app = Celery("lemfarm", broker=url, set_as_current=False)
    app.conf.update(SETTINGS)
    return app


def generate_queue(model_key: str, home_id: str | None = None) -> str:
    """Where samples of one model wait; with a home, only for workers that share it (an adapter lies on its disk)."""
    return _queue("generate", model_key, home_id)


def train_queue(model_key: str, home_id: str | None = None) -> str:
    """Where training stages of one model wait; with a home, only for workers that share it."""
    return _queue("train", model_key, home_id)


def send_generate(app: "Celery", rows: Iterable[QueuedSample]) -> int:
    """Publish one message a row, 500 a round trip, and return how many. Raises BrokerDown, NoSpace.

    After an error some messages may have been sent. Sending them again is harmless: a second message finds no row
    to claim.
    """
    messages = list(rows)  # read first, so that an error of the reader is not taken for one of the broker
    with (
        _explained(app.conf.broker_url),
        app.producer_pool.acquire(block=True) as producer,
        producer.batch(max_size=_MESSAGES_PER_ROUND_TRIP),
    ):
        declared: set[str] = set()
        for row in messages:
            _publish(app, producer, GENERATE_TASK, row, declare=row.queue not in declared)
            declared.add(row.queue)
    return len(messages)


def send_train(app: "Celery", stage_id: str, queue: str, label: str) -> None:
    """Publish one training stage. Raises BrokerDown, NoSpace."""
    with _explained(app.conf.broker_url), app.producer_pool.acquire(block=True) as producer:
        _publish(app, producer, TRAIN_TASK, QueuedSample(stage_id, queue, label))


def queue_length(app: "Celery", queue: str) -> int:
    """How many messages wait on a queue, not counting those that workers hold. Raises BrokerDown."""
    from kombu.exceptions import ChannelError

    with _explained(app.conf.broker_url), app.connection_or_acquire() as connection:
        try:
            return int(connection.default_channel.queue_declare(queue, passive=True).message_count)
        except ChannelError:  # the broker forgets a queue when it is empty
            return 0


def ensure_nonce(app: "Celery") -> bool:
    """True when the broker had lost its data (or is new): the farm's key was missing, and is now set again.

    Only one of several callers is told. Raises BrokerDown, NoSpace.
    """
    with _explained(app.conf.broker_url), app.connection_or_acquire() as connection:
        return bool(connection.default_channel.client.set(NONCE_KEY, uuid_utils.uuid7().hex, nx=True))


def ping(url: str) -> None:
    """Return when the broker answers to this user. Raises BrokerDown, naming the redacted URL and what to do."""
    with _explained(url), open_client(url) as client:
        client.ping()


def open_client(url: str, *, seconds: float = _CONNECT_SECONDS) -> "Redis":
    """A client for a question, not for work: it neither waits long nor tries again."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds, retry=Retry(NoBackoff(), 0))


def _publish(app: "Celery", producer: Any, task: str, row: QueuedSample, *, declare: bool = True) -> None:
    message = app.amqp.create_task_message(
        str(uuid_utils.uuid4()),
        task,
        (row.sample_id,),
        argsrepr=f"{row.label} ({row.sample_id})",  # not the name: workers and Flower keep every name they have seen
        kwargsrepr="",
        ignore_result=True,
        create_sent_event=True,
    )
    known = None if declare else ()  # None: declared with the message
    app.amqp.send_task_message(producer, task, message, queue=row.queue, declare=known, retry=False)


def _queue(kind: str, model_key: str, home_id: str | None) -> str:
    name = f"{kind}.{short(model_key if model_key.startswith(PREFIX) else content_hash(model_key))}"
    return f"{name}.at.{home_id[-12:]}" if home_id else name  # the end: homes made within a minute begin alike


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turn what Redis, Kombu and the socket raise into an error that names the place and the next step."""
    from kombu.exceptions import KombuError, OperationalError
    from redis.exceptions import RedisError

    try:
        yield
    except (RedisError, KombuError, OperationalError, OSError) as error:
        raise _explanation(url, _root(error)) from error


def _explanation(url: str, cause: BaseException) -> BrokerDown | NoSpace:
    from redis.exceptions import AuthenticationError, NoPermissionError

    place, text = redacted(url), str(cause).rstrip(".") or type(cause).__name__
    if "MISCONF" in text or "OOM command" in text or "No space left" in text:
        return NoSpace(
            f"{place} cannot keep more: {text}. Free disk or memory where it runs; the queue then goes on by itself."
        )
    if isinstance(cause, AuthenticationError) or "WRONGPASS" in text or "NOAUTH" in text:
        return BrokerDown(
            f"{place} refuses this user or password: {text}. Check LEMFARM_BROKER, --broker or the join file."
        )
    if isinstance(cause, NoPermissionError):
        return BrokerDown(
            f"{place} answers, but its user may not do this: {text}. Give it '~* &* +@all -@dangerous -@admin'."
        )
    return BrokerDown(f"{place} does not answer: {text}. Start it (`lemfarm up`), or name another with --broker.")


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error
